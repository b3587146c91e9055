package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const healthToken = "0123456789abcdef"

// probed is what answers for a program, of which only the health and what changes it are
// asked for.
func probed(t *testing.T, cfg Config, p Program) http.Handler {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	s, err := New(cfg, p, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s.handler
}

func ask(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func wantAnswer(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || w.Body.String() != body {
		t.Errorf("%d %s\nwant %d %s", w.Code, w.Body, status, body)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	ill := nothing()
	ill.Live = func(context.Context) error { return errors.New("channel orders reads nothing any more") }
	ill.Ready = func(context.Context) []Reason {
		return []Reason{{"redis", "redis at redis://127.0.0.1:6379 does not answer"}, {"subscription", "price_data is not confirmed"}}
	}
	for _, test := range []struct {
		path    string
		program Program
		status  int
		body    string
	}{
		{"/livez", nothing(), 200, `{"status":"ok"}`},
		{"/readyz", nothing(), 200, `{"status":"ready"}`},
		{"/healthz", nothing(), 200, `{"status":"ready"}`},
		{"/livez", ill, 503, `{"status":"stuck","reasons":[{"what":"stuck","text":"channel orders reads nothing any more"}]}`},
		{"/readyz", ill, 503, `{"status":"not ready","reasons":[{"what":"redis","text":"redis at redis://127.0.0.1:6379 does not answer"},` +
			`{"what":"subscription","text":"price_data is not confirmed"}]}`},
		{"/healthz", ill, 503, `{"status":"not ready","reasons":[{"what":"redis","text":"redis at redis://127.0.0.1:6379 does not answer"},` +
			`{"what":"subscription","text":"price_data is not confirmed"}]}`},
	} {
		h := probed(t, Config{}, test.program)
		w := ask(h, "GET", test.path, "")
		wantAnswer(t, w, test.status, test.body+"\n")
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control is %q", test.path, got)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: Content-Type is %q", test.path, got)
		}
		if w := ask(h, "HEAD", test.path, ""); w.Code != test.status {
			t.Errorf("HEAD %s is %d, want %d", test.path, w.Code, test.status)
		}
		if w := ask(h, "POST", test.path, ""); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s is %d", test.path, w.Code)
		} else if got := w.Header().Get("Allow"); got != "GET, HEAD" {
			t.Errorf("POST %s: Allow is %q", test.path, got)
		}
	}
}

// A HEAD over a connection has no body.
func TestHeadOfHealth(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(probed(t, Config{}, nothing()))
	defer server.Close()
	response, err := server.Client().Head(server.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) > 0 || response.StatusCode != http.StatusOK {
		t.Errorf("%d %q %v", response.StatusCode, body, err)
	}
}

func TestLooksAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		p := nothing()
		p.Ready = func(context.Context) []Reason {
			looks.Add(1)
			time.Sleep(500 * time.Millisecond)
			return []Reason{{"redis", fmt.Sprint(looks.Load())}}
		}
		h := probed(t, Config{}, p)
		var probes sync.WaitGroup
		for range 50 {
			probes.Go(func() { wantAnswer(t, ask(h, "GET", "/readyz", ""), 503, notReady("redis", "1")) })
		}
		probes.Wait()
		time.Sleep(lookHolds)
		wantAnswer(t, ask(h, "GET", "/healthz", ""), 503, notReady("redis", "1"))
		if metrics := ask(h, "GET", "/metrics", "").Body.String(); !strings.Contains(metrics, "\nsignalbox_ready 0\n") {
			t.Errorf("metrics: %s", metrics)
		}
		if n := looks.Load(); n != 1 {
			t.Errorf("looked %d times for 51 probes and a scrape within a second", n)
		}
		time.Sleep(time.Millisecond)
		wantAnswer(t, ask(h, "GET", "/readyz", ""), 503, notReady("redis", "2"))
	})
}

func notReady(what, text string) string {
	return fmt.Sprintf(`{"status":"not ready","reasons":[{"what":%q,"text":%q}]}`+"\n", what, text)
}

// Who asked first may go: the others get their answer.
func TestLookOutlivesWhoAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := nothing()
		p.Ready = func(ctx context.Context) []Reason {
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return []Reason{{"redis", ctx.Err().Error()}}
			}
		}
		h := probed(t, Config{}, p)
		ctx, cancel := context.WithCancel(t.Context())
		var first sync.WaitGroup
		first.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "http://127.0.0.1/readyz", nil))
		})
		synctest.Wait()
		cancel()
		first.Wait()
		wantAnswer(t, ask(h, "GET", "/readyz", ""), 200, `{"status":"ready"}`+"\n")
	})
}

func TestLooksEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := nothing()
		p.Live = func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("redis does not answer")
		}
		begin := time.Now()
		wantAnswer(t, ask(probed(t, Config{}, p), "GET", "/livez", ""), 503, `{"status":"stuck","reasons":[{"what":"stuck","text":"redis does not answer"}]}`+"\n")
		if took := time.Since(begin); took != lookTimeout {
			t.Errorf("took %v", took)
		}

		// One that does not mind its context is answered for, and not repeated.
		var looks atomic.Int32
		hang := make(chan struct{})
		p.Ready = func(context.Context) []Reason {
			looks.Add(1)
			<-hang
			return nil
		}
		h := probed(t, Config{}, p)
		for range 3 {
			begin = time.Now()
			wantAnswer(t, ask(h, "GET", "/readyz", ""), 503, notReady("slow", "there was no answer within 2s"))
			if took := time.Since(begin); took > lookLimit {
				t.Errorf("took %v", took)
			}
		}
		if n := looks.Load(); n != 1 {
			t.Errorf("looked %d times", n)
		}
		close(hang)
		synctest.Wait()
		wantAnswer(t, ask(h, "GET", "/readyz", ""), 200, `{"status":"ready"}`+"\n")
	})
}

func TestLookThatPanics(t *testing.T) {
	t.Parallel()
	p := nothing()
	p.Ready = func(context.Context) []Reason { panic("no such luck") }
	wantAnswer(t, ask(probed(t, Config{}, p), "GET", "/readyz", ""), 503, notReady("panic", "no such luck"))
}

func TestHealthTellsNoPassword(t *testing.T) {
	t.Parallel()
	const canary = "hunter/2@x"
	p := nothing()
	p.Live = func(context.Context) error { return fmt.Errorf("redis at redis://desk:%s@10.0.0.5:6379 hangs", canary) }
	p.Ready = func(context.Context) []Reason {
		return []Reason{{"redis", fmt.Sprintf("redis at redis://:%[1]s@10.0.0.5 and rediss://%[1]s@10.0.0.6/0 hang", canary)}}
	}
	h := probed(t, Config{}, p)
	for path, want := range map[string]string{
		"/livez":  "redis at redis://***@10.0.0.5:6379 hangs",
		"/readyz": "redis at redis://***@10.0.0.5 and rediss://***@10.0.0.6/0 hang",
	} {
		if got := ask(h, "GET", path, "").Body.String(); strings.Contains(got, "hunter") || !strings.Contains(got, want) {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestWhoMayAskForHealth(t *testing.T) {
	t.Parallel()
	p := nothing()
	bearer := []string{"Authorization", "Bearer " + healthToken}
	closed := probed(t, Config{Token: healthToken}, p)
	open := probed(t, Config{Token: healthToken, OpenHealth: true}, p)
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		for _, test := range []struct {
			h      http.Handler
			header []string
			want   int
		}{{closed, nil, 401}, {closed, bearer, 200}, {open, nil, 200}, {open, bearer, 200}} {
			if w := ask(test.h, "GET", path, "", test.header...); w.Code != test.want {
				t.Errorf("%s with %q: %d, want %d", path, test.header, w.Code, test.want)
			}
		}
	}
	// Each is opened by itself.
	metrics := probed(t, Config{Token: healthToken, OpenMetrics: true}, p)
	for _, test := range []struct {
		h    http.Handler
		path string
		want int
	}{{closed, "/metrics", 401}, {open, "/metrics", 401}, {metrics, "/metrics", 200}, {metrics, "/readyz", 401}} {
		if w := ask(test.h, "GET", test.path, ""); w.Code != test.want {
			t.Errorf("%s without a token: %d, want %d", test.path, w.Code, test.want)
		}
	}
	if w := ask(open, "GET", "/-/log-level", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("the log level without a token: %d", w.Code)
	}
}
