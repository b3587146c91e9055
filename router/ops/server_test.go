package ops

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

const (
	secretToken = "0123456789abcdef-canary"
	patience    = 10 * time.Second
)

// nothing is a program that does nothing.
func nothing() Program {
	return Program{
		Service: "test", Version: "dev", Onlooker: &router.Onlooker{}, Started: time.Now(),
		Running:  func() Running { return Running{} },
		Stats:    func() router.Stats { return router.Stats{} },
		Sources:  func() []Source { return nil },
		Losses:   func() []Loss { return nil },
		Link:     func() Link { return Link{} },
		Streams:  func(context.Context) ([]Stream, error) { return nil, nil },
		Live:     func(context.Context) error { return nil },
		Ready:    func(context.Context) []Reason { return nil },
		Reload:   func(context.Context) error { return nil },
		Level:    func() string { return "info" },
		SetLevel: func(string) error { return nil },
	}
}

// served is a server that runs until the test ends.
type served struct {
	*http.Client
	url  string
	addr string
	logs *bytes.Buffer
}

func serve(t *testing.T, cfg Config, p Program) *served {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s := &served{logs: &bytes.Buffer{}, Client: &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	server, err := New(cfg, p, slog.New(slog.NewTextHandler(s.logs, nil)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	s.url = "http://" + s.addr
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.ServeOn(ctx, listener) }()
	t.Cleanup(func() {
		s.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask sends a request and returns the answer and its body.
func (s *served) ask(t *testing.T, method, path, body string, set func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(r)
	}
	answer, err := s.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestHosts(t *testing.T) {
	s := serve(t, Config{Listen: "0.0.0.0:0", Hosts: []string{"router.example"}}, nothing())
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8080": true, "LOCALHOST.": true, "127.0.0.1:1": true, "[::1]:8080": true, "[::1]": true, "192.0.2.7": true,
		"router.example": true, "Router.Example:80": true, machine: true,
		"evil.example": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "router.example.evil": false, "0x7f.1": false,
	} {
		answer, body := s.ask(t, "GET", "/", "", func(r *http.Request) { r.Host = host })
		if got := answer.StatusCode != http.StatusMisdirectedRequest; got != want {
			t.Errorf("host %q: %d", host, answer.StatusCode)
		}
		if !want && !strings.Contains(body, "[http] hosts names what it is called") {
			t.Errorf("host %q: %s", host, body)
		}
	}
}

// A page of a stranger can change nothing, whoever looks at it.
func TestStrangersPages(t *testing.T) {
	s := serve(t, Config{Token: secretToken}, nothing())
	for _, headers := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:1"},
		{"Origin": "http://evil.example"},
		{"Origin": "null"},
	} {
		answer, body := s.ask(t, "POST", "/login", "token="+secretToken, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for name, value := range headers {
				r.Header.Set(name, value)
			}
		})
		if answer.StatusCode != http.StatusForbidden || len(answer.Cookies()) > 0 || !strings.HasPrefix(body, `{"error":"a page of another site`) {
			t.Errorf("%v: %s, cookies %v, %s", headers, answer.Status, answer.Cookies(), body)
		}
		for _, path := range []string{"/api/live", "/api/dead?channel=a"} {
			answer, text := s.ask(t, "GET", path, "", func(r *http.Request) {
				for name, value := range headers {
					r.Header.Set(name, value)
				}
			})
			if answer.StatusCode != http.StatusForbidden || text != body {
				t.Errorf("%v: GET %s: %s %s", headers, path, answer.Status, text)
			}
		}
	}
	if got := s.logs.String(); !strings.Contains(got, `why="a page of another site sent it"`) {
		t.Errorf("log: %s", got)
	}
}

// What strangers send fills no log.
func TestRefusalsAreShort(t *testing.T) {
	s := serve(t, Config{Token: secretToken}, nothing())
	_, _ = s.ask(t, "GET", "/"+strings.Repeat("x", 10_000), "", func(r *http.Request) { r.Host = strings.Repeat("y", 4_000) })
	if got := s.logs.String(); len(got) > 1_000 || !strings.Contains(got, "http request refused") {
		t.Errorf("log: %d bytes", len(got))
	}
}

// Nor can they begin a line of it, or send a terminal what it obeys.
func TestRefusalsAreOneLine(t *testing.T) {
	s := serve(t, Config{Token: secretToken}, nothing())
	_, _ = s.ask(t, "GET", "/a%0d%0atime=now%20level=ERROR%1b[31m%00", "", nil)
	text := s.logs.String()
	if lines := strings.Count(text, "\n"); lines != 2 || strings.ContainsAny(text, "\r\x1b\x00") || !strings.Contains(text, "http request refused") {
		t.Errorf("%d lines: %q", lines, text)
	}
}

func TestEveryAnswerSaysWhatBrowsersMayDo(t *testing.T) {
	s := serve(t, Config{Token: secretToken}, nothing())
	for _, path := range []string{"/", "/login", "/nowhere", "/assets/../../etc/passwd"} {
		answer, _ := s.ask(t, "GET", path, "", nil)
		h := answer.Header
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
}

func TestTokenIsNeeded(t *testing.T) {
	s := serve(t, Config{Token: secretToken}, nothing())
	for _, tt := range []struct {
		name string
		set  func(*http.Request)
		want int
	}{
		{"nothing", nil, 401},
		{"another", header("Authorization", "Bearer "+secretToken+"x"), 401},
		{"a part", header("Authorization", "Bearer "+secretToken[:10]), 401},
		{"empty", header("Authorization", "Bearer "), 401},
		{"basic", header("Authorization", "Basic "+secretToken), 401},
		{"in the query", func(r *http.Request) { r.URL.RawQuery = "token=" + secretToken }, 401},
		{"a made-up cookie", header("Cookie", newToken(secretToken).cookie+"=9999999999.00"), 401},
		{"by another spelling", header("Authorization", "bearer  "+secretToken), 404},
		{"the token", header("Authorization", "Bearer "+secretToken), 404},
	} {
		answer, body := s.ask(t, "GET", "/api/nothing", "", tt.set)
		if answer.StatusCode != tt.want {
			t.Errorf("%s: %s %s", tt.name, answer.Status, body)
		}
		if answer.StatusCode == 401 && answer.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: nothing says what is needed", tt.name)
		}
	}
	answer, _ := s.ask(t, "GET", "/", "", header("Accept", "text/html"))
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/login" {
		t.Errorf("a browser gets %s to %q", answer.Status, answer.Header.Get("Location"))
	}
	if strings.Contains(s.logs.String(), "canary") {
		t.Errorf("the token is in the log: %s", s.logs)
	}
}

func (s *served) login(t *testing.T, token string) (*http.Response, string) {
	t.Helper()
	return s.ask(t, "POST", "/login", url.Values{"token": {token}}.Encode(), header("Content-Type", "application/x-www-form-urlencoded"))
}

func TestLogin(t *testing.T) {
	s := serve(t, Config{Token: secretToken}, nothing())
	answer, _ := s.login(t, secretToken)
	cookies := answer.Cookies()
	if answer.StatusCode != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("%s, cookies %v", answer.Status, cookies)
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(c.Value, secretToken) || c.Path != "/" {
		t.Errorf("cookie %v", c)
	}
	if answer, _ := s.ask(t, "GET", "/api/nothing", "", func(r *http.Request) { r.AddCookie(c) }); answer.StatusCode != 404 {
		t.Errorf("with the cookie: %s", answer.Status)
	}
	// Another router with the same token takes it, one with another token does not.
	again := serve(t, Config{Token: secretToken}, nothing())
	if answer, _ := again.ask(t, "GET", "/api/nothing", "", func(r *http.Request) { r.AddCookie(c) }); answer.StatusCode != 404 {
		t.Errorf("after a restart: %s", answer.Status)
	}
	other := serve(t, Config{Token: "another-0123456789"}, nothing())
	if answer, _ := other.ask(t, "GET", "/api/nothing", "", func(r *http.Request) {
		r.AddCookie(&http.Cookie{Name: newToken("another-0123456789").cookie, Value: c.Value})
	}); answer.StatusCode != 401 {
		t.Errorf("another token: %s", answer.Status)
	}
	// Even the name of the cookie depends on the token, and tells no stranger whether he guesses it.
	if answer, _ := s.ask(t, "POST", "/logout", "", nil); len(answer.Cookies()) > 0 || answer.Header.Get("Location") != "/login" {
		t.Errorf("logout of a stranger: %v", answer.Header)
	}
	if answer, _ := s.ask(t, "POST", "/logout", "", func(r *http.Request) { r.AddCookie(c) }); len(answer.Cookies()) != 1 || answer.Cookies()[0].MaxAge >= 0 {
		t.Errorf("logout: %v", answer.Cookies())
	}
}

// Who guesses gets nothing, fills no log, and keeps nobody out.
func TestWrongLogins(t *testing.T) {
	s := serve(t, Config{Token: secretToken}, nothing())
	for range 30 {
		answer, body := s.login(t, "<script>alert(1)</script>")
		if answer.StatusCode != http.StatusUnauthorized || len(answer.Cookies()) > 0 || strings.Contains(body, "alert(1)") {
			t.Fatalf("%s, cookies %v: %s", answer.Status, answer.Cookies(), body)
		}
	}
	if answer, _ := s.login(t, secretToken); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("the token itself: %s", answer.Status)
	}
	if n := strings.Count(s.logs.String(), "request refused"); n > 3 {
		t.Errorf("%d lines of log", n)
	}
}

func TestSessionsEnd(t *testing.T) {
	token := newToken(secretToken)
	value, ends := token.session()
	if !token.signed(value) || !ends.After(time.Now()) {
		t.Error("a new session is none")
	}
	token.now = func() time.Time { return ends.Add(time.Second) }
	if token.signed(value) {
		t.Error("a session lasts for ever")
	}
	_, signature, _ := strings.Cut(value, ".")
	for _, forged := range []string{"", ".", "99999999999." + signature, "x." + signature, signature, value + "0"} {
		if token.signed(forged) {
			t.Errorf("%q passes", forged)
		}
	}
}

// Whoever sends a request slowly, or a large head, is cut off.
func TestLimits(t *testing.T) {
	s := serve(t, Config{}, nothing())
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", maxHeader+8<<10))
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	status, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(status, "431") {
		t.Errorf("a large head: %q %v", status, err)
	}
	slow, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	begin := time.Now()
	fmt.Fprint(slow, "GET / HT")
	_ = slow.SetReadDeadline(begin.Add(3 * headerTimeout))
	if _, err := io.ReadAll(slow); err != nil || time.Since(begin) > 2*headerTimeout {
		t.Errorf("a slow head is cut off after %v, %v", time.Since(begin), err)
	}
}

// One connection too many waits until another closes.
func TestConnectionsAreBounded(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newBounded(listener, 1)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			conn, err := b.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	for range 2 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Error("two at once")
	case <-time.After(50 * time.Millisecond):
	}
	_ = first.Close()
	_ = first.Close() // makes room once
	second := <-accepted
	_ = second.Close()
	_ = b.Close()
	if _, more := <-accepted; more {
		t.Error("accepted after Close")
	}
}

// Connections that ask for nothing keep nobody out, neither those that never did nor those
// that are kept for later; and those that are at work are left alone.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	hold, working := make(chan struct{}), make(chan struct{})
	p := nothing()
	p.Reload = func(context.Context) error {
		close(working)
		<-hold
		return nil
	}
	p.Running = func() Running { return Running{Hash: "0"} }
	s := serve(t, Config{}, p)
	reloaded := make(chan int, 1)
	go func() {
		answer, err := s.Post(s.url+"/-/reload", "", nil)
		if err != nil {
			t.Error(err)
			answer = &http.Response{Body: http.NoBody}
		}
		_ = answer.Body.Close()
		reloaded <- answer.StatusCode
	}()
	<-working
	for i := range 2 * maxConnections {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(headerTimeout / 2))
		if i%2 == 0 {
			continue
		}
		fmt.Fprint(conn, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if status, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(status, "200") {
			t.Fatalf("connection %d: %q %v", i, status, err)
		}
	}
	close(hold)
	if status := <-reloaded; status != http.StatusOK {
		t.Errorf("who was at work got %d", status)
	}
}

// An address that another program has is waited for.
func TestTakenAddress(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	var logs bytes.Buffer
	server, err := New(Config{Listen: taken.Addr().String()}, nothing(), slog.New(slog.NewTextHandler(&logs, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := server.Serve(ctx); err != nil {
		t.Error(err)
	}
	if text := logs.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "address already in use") || !strings.Contains(text, "another address at [http] listen") {
		t.Errorf("log %q", text)
	}
}

func TestNoProfilesAreServed(t *testing.T) {
	s := serve(t, Config{}, nothing())
	for _, path := range []string{"/debug/pprof/", "/debug/vars"} {
		if answer, _ := s.ask(t, "GET", path, "", nil); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}
