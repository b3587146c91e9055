package ops

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/time/rate"
)

// policy is what a browser may do with our answers: run our own script and styles and ask
// us, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard decides who may ask for what.
type guard struct {
	hosts []string
	token *token // nil: nobody needs one
	cross *http.CrossOriginProtection
	log   *slog.Logger
	tries *rate.Limiter // of tokens that are wrong
	lines *rate.Limiter // of the log
}

func newGuard(cfg Config, log *slog.Logger) (*guard, error) {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", cfg.Listen, err)
	}
	g := &guard{cross: http.NewCrossOriginProtection(), log: log, tries: rate.NewLimiter(2, 10), lines: rate.NewLimiter(1, 1)}
	g.hosts = append([]string{"localhost", strings.ToLower(host)}, cfg.Hosts...)
	if name, err := os.Hostname(); err == nil {
		g.hosts = append(g.hosts, strings.ToLower(name))
	}
	if cfg.Token != "" {
		g.token = newToken(cfg.Token)
	}
	return g, nil
}

// protect is around everything that is served: whatever the request asks for, it was meant
// for us, and no page of a stranger sent it.
func (g *guard) protect(next http.Handler) http.Handler {
	next = g.cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !g.meant(r.Host) {
			g.refused(r, "it is for another host")
			fail(w, http.StatusMisdirectedRequest, fmt.Sprintf("this router is not called %q; [http] hosts names what it is called", r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// meant reports whether a request that names this host is for us. An address is: nobody
// can make it point elsewhere. No name is that of HTTP/1.0.
func (g *guard) meant(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "" {
		return true
	}
	return slices.Contains(g.hosts, host)
}

// secret makes next ask for the token, if there is one.
func (g *guard) secret(next http.Handler) http.Handler {
	if g.token == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.known(r) {
			next.ServeHTTP(w, r)
			return
		}
		if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		g.refused(r, "it has no token")
		w.Header().Set("WWW-Authenticate", `Bearer realm="signalbox"`)
		fail(w, http.StatusUnauthorized, "this needs the token: Authorization: Bearer TOKEN, or log in at /login")
	})
}

// known reports whether a request has the token, or the cookie of somebody who had it.
func (g *guard) known(r *http.Request) bool {
	if given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return g.token.is(given)
	}
	return slices.ContainsFunc(r.CookiesNamed(g.token.cookie), func(c *http.Cookie) bool { return g.token.signed(c.Value) })
}

// refused tells the log, once a second at most: somebody may ask all the time.
func (g *guard) refused(r *http.Request, why string) {
	if g.lines.Allow() {
		g.log.Warn("http request refused", "why", why, "from", r.RemoteAddr, "method", r.Method, "path", r.URL.Path, "host", r.Host)
	}
}
