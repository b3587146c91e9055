package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

// mistakes are those of a configuration.
type mistakes string

func (m mistakes) Error() string { return "mistakes" }
func (m mistakes) Show() string  { return string(m) }

func reloading(err error) Program {
	p := nothing()
	p.Reload = func(context.Context) error { return err }
	p.Running = func() Running {
		return Running{
			Config: router.Config{Channels: make([]router.Channel, 3), Routes: make([]router.Route, 8)}, Files: []string{"config/routes.toml"},
			Hash: strings.Repeat("0123456789abcdef", 4), Since: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC),
		}
	}
	return p
}

func TestReload(t *testing.T) {
	t.Parallel()
	const found = "routes.toml:4:13: channel \"orders\": unknown transport\n    4 | transport = \"strem\"\n      |             ^^^^^^^"
	for _, test := range []struct {
		name       string
		err        error
		status     int
		json, text string
	}{
		{"done", nil, 200, `{"hash":"0123456789ab","since":"2026-11-22T02:00:00Z","files":["config/routes.toml"],"channels":3,"routes":8}`, "reloaded: 8 routes, hash 0123456789ab"},
		{"mistakes", fmt.Errorf("load: %w", mistakes(found)), 422, `{"error":"routes.toml:4:13: channel \"orders\": unknown transport\n    4 | transport = \"strem\"\n      |             ^^^^^^^"}`, found},
		{
			"not now", errors.New("[redis] changed, and a reload cannot apply that; restart"), 409,
			`{"error":"[redis] changed, and a reload cannot apply that; restart"}`, "[redis] changed, and a reload cannot apply that; restart",
		},
		{
			"password", errors.New("dial postgres://desk:hunter2@db/x: refused"), 409,
			`{"error":"dial postgres://***@db/x: refused"}`, "dial postgres://***@db/x: refused",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := probed(t, Config{}, reloading(test.err))
			wantAnswer(t, ask(h, "POST", "/-/reload", ""), test.status, test.json+"\n")
			wantAnswer(t, ask(h, "POST", "/-/reload", "", "Accept", "text/plain"), test.status, test.text+"\n")
			wantAnswer(t, ask(h, "GET", "/-/reload", ""), 405, `{"error":"/-/reload takes POST"}`+"\n")
			if w := ask(h, "POST", "/-/reload", "", "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden {
				t.Errorf("from a page of a stranger: %d", w.Code)
			}
		})
	}
}

// A reload drains what is gone, and may take longer than any other answer.
func TestReloadOutlivesTimeouts(t *testing.T) {
	t.Parallel()
	p := reloading(nil)
	p.Reload = func(ctx context.Context) error {
		select {
		case <-time.After(400 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	server := httptest.NewUnstartedServer(probed(t, Config{}, p))
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	defer server.Close()
	response, err := server.Client().Post(server.URL+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%d %s %v", response.StatusCode, text, err)
	}
}

// A body that is announced and never sent holds no connection for ever, and reloads nothing.
func TestReloadAwaitsNoBody(t *testing.T) {
	t.Parallel()
	p := reloading(nil)
	p.Reload = func(context.Context) error {
		t.Error("reloaded")
		return nil
	}
	server := httptest.NewUnstartedServer(probed(t, Config{}, p))
	server.Config.ReadTimeout = 200 * time.Millisecond
	server.Start()
	defer server.Close()
	for _, asked := range []string{"POST /-/reload", "GET /api/live"} {
		text := tell(t, server.Listener.Addr().String(), asked+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
		if !strings.HasPrefix(text, "HTTP/1.1 400 ") || !strings.HasSuffix(text, `{"error":"this takes no body"}`+"\n") {
			t.Errorf("%s: %q", asked, text)
		}
	}
}

// tell sends bytes as they are, and returns what comes until the server hangs up.
func tell(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%q: %v", text, err)
	}
	return string(got)
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	level := "info"
	p := nothing()
	p.Level = func() string { return level }
	p.SetLevel = func(to string) error {
		if to == "verbose" || strings.Contains(to, "=") {
			return fmt.Errorf("no level is called %q", to)
		}
		level = to
		return nil
	}
	h := probed(t, Config{}, p)
	wantAnswer(t, ask(h, "GET", "/-/log-level", ""), 200, `{"level":"info"}`+"\n")
	wantAnswer(t, ask(h, "PUT", "/-/log-level", "debug"), 405, `{"error":"/-/log-level takes GET, HEAD, POST"}`+"\n")
	const form = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		body, contentType string
		status            int
		want              string
	}{
		{`{"level":"debug"}`, "application/json", 200, `{"level":"debug"}`},
		{`{"level":"warn"}`, form, 200, `{"level":"warn"}`},
		{"debug\n", form, 200, `{"level":"debug"}`},
		{" INFO ", "text/plain", 200, `{"level":"info"}`},
		{`{"level":"verbose"}`, "", 400, `{"error":"no level is called \"verbose\""}`},
		{"level=debug", form, 400, `{"error":"no level is called \"level=debug\""}`},
		{"", "", 400, `{"error":"there is no level in the body; send {\"level\":\"debug\"}, or the bare word"}`},
		{`{}`, "", 400, `{"error":"there is no level in the body; send {\"level\":\"debug\"}, or the bare word"}`},
		{`{"levle":"debug"}`, "", 400, `{"error":"the body is not {\"level\":\"debug\"}; send that, or the bare word"}`},
		{`{"level":3}`, "", 400, `{"error":"the body is not {\"level\":\"debug\"}; send that, or the bare word"}`},
		{`{"level":"debug"} {}`, "", 400, `{"error":"the body is not {\"level\":\"debug\"}; send that, or the bare word"}`},
		{strings.Repeat("x", maxLevel+1), "", 413, `{"error":"read the level: http: request body too large"}`},
	} {
		wantAnswer(t, ask(h, "POST", "/-/log-level", test.body, "Content-Type", test.contentType), test.status, test.want+"\n")
	}
	wantAnswer(t, ask(h, "GET", "/-/log-level", ""), 200, `{"level":"info"}`+"\n")
}
