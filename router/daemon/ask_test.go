package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/router/routesfile"
)

const askToken = "0123456789abcdef"

// asking is what a command that asks a router prints, and its error.
type asking struct {
	out, err bytes.Buffer
	failure  error
}

func (a *asking) options(t *testing.T, file string) Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return Options{Source: routesfile.Source{Paths: []string{path}}, Stdout: &a.out, Stderr: &a.err}
}

func askHealth(t *testing.T, file string, what HealthOptions) *asking {
	t.Helper()
	var a asking
	if what.Timeout == 0 {
		what.Timeout = 5 * time.Second
	}
	a.failure = AskHealth(t.Context(), a.options(t, file), what)
	return &a
}

func askReload(t *testing.T, file string, what AskOptions) *asking {
	t.Helper()
	var a asking
	if what.Timeout == 0 {
		what.Timeout = 5 * time.Second
	}
	a.failure = AskReload(t.Context(), a.options(t, file), what)
	return &a
}

func (a *asking) want(t *testing.T, out, errs, failure string) {
	t.Helper()
	got := ""
	if a.failure != nil {
		got = a.failure.Error()
	}
	if _, printed := errors.AsType[*PrintedError](a.failure); printed {
		got = "printed"
	}
	if a.out.String() != out || a.err.String() != errs || got != failure {
		t.Errorf("stdout %q, want %q\nstderr %q, want %q\nerror  %q, want %q", &a.out, out, &a.err, errs, got, failure)
	}
}

// playing answers every request with this, and remembers the last one.
type playing struct {
	*httptest.Server
	last *http.Request
}

func playRouter(t *testing.T, status int, body string, header ...string) *playing {
	t.Helper()
	p := &playing{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.last = r
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(p.Close)
	return p
}

// file is a configuration by which the router is found. The rest of it is not of a kind
// that runs, and that must not matter.
func (p *playing) file(more string) string {
	return fmt.Sprintf("[http]\nlisten = %q\n%s\n[redis]\nurl = \"${NOT_SET}\"\n[channels.x]\ntransport = \"strem\"\n", p.Listener.Addr(), more)
}

func TestAskHealth(t *testing.T) {
	const notReady = `{"status":"not ready","reasons":[{"what":"redis","text":"redis at redis://127.0.0.1:6379 does not answer"},{"what":"subscription","text":"a \u001b[31m is not confirmed"}]}` + "\n"
	for _, test := range []struct {
		name    string
		status  int
		body    string
		what    HealthOptions
		out     string
		failure string
	}{
		{"ready", 200, `{"status":"ready"}` + "\n", HealthOptions{}, "ready\n", ""},
		{"not ready", 503, notReady, HealthOptions{}, `not ready: redis at redis://127.0.0.1:6379 does not answer; a \x1b[31m is not confirmed` + "\n", "printed"},
		{"live", 200, `{"status":"ok"}`, HealthOptions{Live: true}, "ok\n", ""},
		{"JSON", 200, `{"status":"ready"}` + "\n", HealthOptions{AskOptions: AskOptions{JSON: true}}, `{"status":"ready"}` + "\n", ""},
		{"not ready, JSON", 503, notReady, HealthOptions{AskOptions: AskOptions{JSON: true}}, notReady, "printed"},
		{"no router", 200, "<html>", HealthOptions{}, "", "what answers at URL is no router with this command: status 200"},
		{"another router", 404, "404 page not found\n", HealthOptions{}, "", "what answers at URL is no router with this command: status 404"},
		{"a proxy that says so", 503, "no backend", HealthOptions{}, "", "what answers at URL is no router with this command: status 503"},
		{"a redirect", 303, "", HealthOptions{}, "", "what answers at URL is no router with this command: status 303"},
		{"another host", 421, `{"error":"this router is not called \"x\"\u001b"}`, HealthOptions{}, "", `the router at URL answers 421: this router is not called "x"\x1b`},
		{"a token", 401, `{"error":"this needs the token"}`, HealthOptions{}, "", "the router at URL wants a token, and [http] token is not set here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := playRouter(t, test.status, test.body, "Location", "/readyz")
			askHealth(t, p.file(""), test.what).want(t, test.out, "", strings.ReplaceAll(test.failure, "URL", p.URL))
			if want := map[bool]string{false: "/readyz", true: "/livez"}[test.what.Live]; p.last.URL.Path != want || p.last.Method != http.MethodGet {
				t.Errorf("asked %s %s", p.last.Method, p.last.URL)
			}
		})
	}
}

func TestAskShowsTheToken(t *testing.T) {
	p := playRouter(t, 200, `{"status":"ready"}`)
	file := p.file(fmt.Sprintf("token = %q", askToken))
	askHealth(t, file, HealthOptions{}).want(t, "ready\n", "", "")
	if got := p.last.Header.Get("Authorization"); got != "Bearer "+askToken {
		t.Errorf("Authorization is %q", got)
	}
	// Also to a router that was named.
	askHealth(t, fmt.Sprintf("[http]\ntoken = %q\n", askToken), HealthOptions{AskOptions: AskOptions{URL: p.URL + "/box/"}}).want(t, "ready\n", "", "")
	if got := p.last.Header.Get("Authorization"); got != "Bearer "+askToken || p.last.URL.Path != "/box/readyz" {
		t.Errorf("asked %s with %q", p.last.URL, got)
	}
	p = playRouter(t, 401, `{"error":"this needs the token"}`)
	file = p.file(fmt.Sprintf("token = %q", askToken))
	askHealth(t, file, HealthOptions{}).want(t, "", "", "the router at "+p.URL+" has another token than [http] here; if it was changed, restart the router")
	askReload(t, file, AskOptions{}).want(t, "", "", "the router at "+p.URL+" has another token than [http] here; if it was changed, restart the router")
}

// No proxy that the environment names is asked.
func TestAskUsesNoProxy(t *testing.T) {
	proxy := playRouter(t, 200, `{"status":"the proxy"}`)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	t.Setenv("NO_PROXY", "")
	p := playRouter(t, 200, `{"status":"ready"}`)
	askHealth(t, p.file(""), HealthOptions{}).want(t, "ready\n", "", "")
	var a asking
	what := HealthOptions{AskOptions: AskOptions{URL: "http://router.invalid:1", Timeout: 5 * time.Second}}
	if err := AskHealth(t.Context(), a.options(t, ""), what); err == nil || proxy.last != nil {
		t.Errorf("error %v, the proxy was asked: %v", err, proxy.last != nil)
	}
}

func TestAskNobody(t *testing.T) {
	gone := playRouter(t, 200, "")
	gone.Close()
	file := gone.file("")
	askHealth(t, file, HealthOptions{}).want(t, "", "", "no router answers at "+gone.URL+": connect: connection refused")
	askReload(t, file, AskOptions{}).want(t, "", "", "no router answers at "+gone.URL+": connect: connection refused; SIGHUP reloads, too, also where listen was changed")

	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hangs.Close() }()
	file = fmt.Sprintf("[http]\nlisten = %q\n", hangs.Addr())
	askHealth(t, file, HealthOptions{AskOptions: AskOptions{Timeout: 50 * time.Millisecond}}).want(t, "", "", fmt.Sprintf("no router answers at http://%s: no answer within 50ms", hangs.Addr()))

	var a asking
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := AskReload(ctx, a.options(t, file), AskOptions{Timeout: time.Minute}); !errors.Is(err, errInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestAskWhom(t *testing.T) {
	t.Parallel()
	const off = "[http] is off: listen is not set, so the router cannot be asked; "
	askHealth(t, "", HealthOptions{}).want(t, "", "", off+`write listen = "127.0.0.1:8080" into [http]`)
	askReload(t, "", AskOptions{}).want(t, "", "", off+"send it SIGHUP: kill -HUP and its process id")
	askHealth(t, "[http]\nlisten = \"127.0.0.1:0\"\n", HealthOptions{}).want(t, "", "",
		`[http] listen is "127.0.0.1:0", any port that is free, and only the router's log says which; write a port, or --url with what the log says`)
	for _, test := range []struct{ url, want string }{
		{"10.0.0.5:8080", "--url: want the address of a router, such as http://10.0.0.5:8080"},
		{"redis://10.0.0.5", "--url: want the address of a router, such as http://10.0.0.5:8080"},
		{"http://x:secret@10.0.0.5", "--url: a token does not stand in an address; it is that of [http]"},
		{"http://10.0.0.5/?token=x", "--url: want only the address of a router, without ? and #"},
	} {
		a := askHealth(t, "", HealthOptions{AskOptions: AskOptions{URL: test.url}})
		a.want(t, "", "", test.want)
		if _, usage := errors.AsType[*UsageError](a.failure); !usage {
			t.Errorf("--url %s: %T", test.url, a.failure)
		}
	}
	if _, err := newPeer(Options{}, AskOptions{Timeout: -1}); err == nil || err.Error() != "--timeout -1ns: want a time such as 3s" {
		t.Errorf("a timeout in the past: %v", err)
	}
	a := askHealth(t, "[http]\nlisten = \"127.0.0.1:8080\"\nlisen = \"\"\n", HealthOptions{})
	if _, ok := errors.AsType[routesfile.Errors](a.failure); !ok {
		t.Errorf("a mistake in [http]: %v", a.failure)
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "[::1]:8080", "[::1]:80": "[::1]:80",
		"127.0.0.5:80": "127.0.0.5:80", "localhost:80": "localhost:80", "box.example:80": "box.example:80", "[::ffff:0.0.0.0]:80": "127.0.0.1:80",
	} {
		if got, err := reachable(listen); got != want || err != nil {
			t.Errorf("reachable(%q) is %q, %v; want %q", listen, got, err, want)
		}
	}
}

func TestAskReload(t *testing.T) {
	const goesOn = "reload refused; the old configuration goes on"
	for _, test := range []struct {
		name               string
		status             int
		body               string
		json               bool
		out, errs, failure string
	}{
		{"done", 200, `{"hash":"0123456789ab","since":"2026-11-22T02:00:00Z","files":["a.toml"],"channels":3,"routes":8}`, false, "reloaded: 8 routes of a.toml, hash 0123456789ab\n", "", ""},
		{"done, JSON", 200, `{"hash":"0123456789ab","routes":8}` + "\n", true, `{"hash":"0123456789ab","routes":8}` + "\n", "", ""},
		{"mistakes", 422, `{"error":"a.toml:1:1: one\n    1 | x\u001b\n      | ^\na.toml:2:1: two"}`, false, "", "a.toml:1:1: one\n    1 | x\\x1b\n      | ^\na.toml:2:1: two\n", goesOn},
		{"mistakes, JSON", 422, `{"error":"a.toml:1:1: one"}`, true, `{"error":"a.toml:1:1: one"}` + "\n", "", "printed"},
		{"not now", 409, `{"error":"[redis] changed, and a reload cannot apply that; restart"}`, false, "", "", goesOn + ": [redis] changed, and a reload cannot apply that; restart"},
		{"no router", 200, `{}`, false, "", "", "what answers at URL is no router with this command: status 200"},
		{"nothing", 422, `{}`, false, "", "", "what answers at URL is no router with this command: status 422"},
		{"broken", 500, `{"error":"it broke"}`, false, "", "", "the router at URL answers 500: it broke"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := playRouter(t, test.status, test.body)
			askReload(t, p.file(""), AskOptions{JSON: test.json}).want(t, test.out, test.errs, strings.ReplaceAll(test.failure, "URL", p.URL))
			if p.last.Method != http.MethodPost || p.last.URL.Path != "/-/reload" {
				t.Errorf("asked %s %s", p.last.Method, p.last.URL)
			}
		})
	}
}
