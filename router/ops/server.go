package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

// What one request, and all of them, may take. An answer that goes on, as that of the live
// page does, sets its own time for writing.
const (
	maxHeader      = 16 << 10 // bytes
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = time.Minute
	maxConnections = 256
	// bindPause is between attempts to get an address that another program has.
	bindPause = 5 * time.Second
	// closeTimeout is how long answers may take to finish at the end.
	closeTimeout = time.Second
)

// Config says how the HTTP side is served.
type Config struct {
	// Listen is host:port, and required; port 0 is one that is free.
	Listen string
	// Token is what everybody who asks must know, as "Authorization: Bearer TOKEN" or by
	// the cookie that the login page sets; empty: nothing.
	Token string
	// OpenHealth and OpenMetrics take these out of that.
	OpenHealth, OpenMetrics bool
	// Hosts are names by which the listener is called, besides localhost, the name of this
	// machine, and addresses: any other is refused, or a stranger's page could have the
	// browser of somebody who may connect ask for it (DNS rebinding).
	Hosts []string
	// Write permits to publish events and to replay dead letters.
	Write bool
}

// Server is the listener. Make one with [New].
type Server struct {
	cfg     Config
	log     *slog.Logger
	handler http.Handler
}

// New makes a server of what p is. It does not listen yet.
func New(cfg Config, p Program, log *slog.Logger) (*Server, error) {
	s := &Server{cfg: cfg, log: log}
	guard, err := newGuard(cfg, log)
	if err != nil {
		return nil, err
	}
	// Health, metrics and the page ask the same: one look at a time is enough for all.
	p.Ready = (&look{at: p.Ready}).reasons
	mux := http.NewServeMux()
	if err := s.routes(mux, p, guard); err != nil {
		return nil, err
	}
	s.handler = guard.protect(mux)
	return s, nil
}

// routes says what there is, and what needs the token.
func (s *Server) routes(mux *http.ServeMux, p Program, g *guard) error {
	mux.Handle("/", g.secret(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "there is nothing at "+strconv.Quote(start(r.URL.Path, maxNamed)))
	})))
	files := page()
	mux.Handle("/{$}", g.secret(files))
	mux.Handle("/assets/", files) // they hold no secret, and the login page needs some
	if g.token != nil {
		mux.Handle("/login", methods{"GET": http.HandlerFunc(g.loginPage), "POST": http.HandlerFunc(g.login)})
		mux.Handle("/logout", methods{"POST": http.HandlerFunc(g.logout)})
	}
	metrics, err := newMetrics(p)
	if err != nil {
		return err
	}
	if !s.cfg.OpenMetrics {
		metrics = g.secret(metrics)
	}
	mux.Handle("/metrics", methods{"GET": metrics})
	s.routeHealth(mux, p, g)
	routeChanges(mux, p, g)
	own := func(next http.Handler) http.Handler { return g.own(g.secret(next)) }
	live := newLive(p, s.cfg.Write)
	live.log = s.log
	mux.Handle("/api/live", own(methods{"GET": live}))
	newAPI(p, s.cfg.Write).mount(mux, own)
	return nil
}

// Serve answers requests until ctx ends. An address that another program has is waited
// for: events are carried with and without a page.
func (s *Server) Serve(ctx context.Context) error {
	if listener := s.listen(ctx); listener != nil {
		return s.ServeOn(ctx, listener)
	}
	return nil
}

// ServeOn is Serve on a listener, which it closes.
func (s *Server) ServeOn(ctx context.Context, listener net.Listener) error {
	s.log.Info("serving http", "listen", s.cfg.Listen, "page", "http://"+reachable(listener.Addr())+"/")
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	connections := newBounded(listener, maxConnections)
	server := &http.Server{
		Handler: s.handler, BaseContext: func(net.Listener) context.Context { return ctx },
		MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, ConnState: connections.state,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(connections) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", s.cfg.Listen, err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close() // whoever still reads has had his time
	}
	<-ended //nolint:errcheck // it was shut down, and says so
	return nil
}

// reachable is where this machine reaches what listens at an address: at all, on loopback.
func reachable(at net.Addr) string {
	if tcp, ok := at.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return at.String()
}

// listen binds the address; nil: ctx has ended.
func (s *Server) listen(ctx context.Context) net.Listener {
	for told := false; ; told = true {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
		if err == nil {
			return listener
		}
		if ctx.Err() != nil {
			return nil
		}
		if !told {
			s.log.Error("nothing is served by HTTP yet; trying again", "listen", s.cfg.Listen, "err", reasonOf(err), "remedy", "another address at [http] listen")
		}
		select {
		case <-time.After(bindPause):
		case <-ctx.Done():
			return nil
		}
	}
}

// reasonOf is an error of a listener without what the line says already.
func reasonOf(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
