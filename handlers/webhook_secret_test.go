package handlers

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"signalbox/router"
	"signalbox/router/routertest"
)

// Whatever a receiver does with what it was told, no error and no log line shows it.
func TestWebhookKeepsSecrets(t *testing.T) {
	t.Parallel()
	user, password := "UsErCaNaRy1", "pa/ss+Wo\"rd.9"
	canaries := []string{
		"T00CaNaRyPaTh", "kEy-With.Dots", "QuErYcAnArY7", user, "ss+Wo", base64.StdEncoding.EncodeToString([]byte(user + ":" + password)),
		"HeAdErCaNaRy1", "twowords", strings.TrimPrefix(testSecret, secretPrefix), oldSecret, "BoDyCaNaRy123", "sErViCeS",
	}
	options := func(address string) WebhookOptions {
		return WebhookOptions{
			URL:     "http://" + url.UserPassword(user, password).String() + "@" + address + "/sErViCeS/T00CaNaRyPaTh/kEy-With.Dots_9x?token=QuErYcAnArY7",
			Headers: map[string]string{"X-Api-Key": "HeAdErCaNaRy1", "X-Login": "Bearer twowords"},
			Secret:  testSecret, OldSecret: oldSecret, Timeout: 300 * time.Millisecond,
			Body: map[string]any{"token": "BoDyCaNaRy123", "list": []any{map[string]any{"text": "{data.x}"}}},
		}
	}
	told := strings.Join(canaries, " ") // all of it, also what no request has
	dump := func(request string) string { return request + "\n" + told }
	answer := func(status string, text func(request string) string) func(net.Conn) {
		return func(conn net.Conn) {
			request, err := readRequest(conn)
			if err == nil {
				body := text(dump(request))
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
			}
		}
	}
	raw := func(text func(request string) string) func(net.Conn) {
		return func(conn net.Conn) {
			if request, err := readRequest(conn); err == nil {
				_, _ = io.WriteString(conn, text(dump(request)))
			}
		}
	}
	as := func(s string) string { return s }
	peers := map[string]func(net.Conn){
		"repeats it":                 answer("400 x", as),
		"repeats it, away":           answer("503 x", as),
		"repeats it as JSON":         answer("422 x", func(s string) string { b, _ := json.Marshal(s); return strings.ReplaceAll(string(b), "/", `\/`) }),
		"repeats it percent-encoded": answer("400 x", url.QueryEscape),
		"repeats it in HTML": answer("404 x", func(s string) string {
			return strings.NewReplacer(`"`, "&#34;", "+", "&#43;", "/", "&#x2F;").Replace(s)
		}),
		"repeats it late": answer("400 x", func(s string) string { return strings.Repeat(" ", 60_000) + s }),
		"repeats it as status": raw(func(string) string {
			return "HTTP/1.1 400 " + told + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
		}),
		"repeats it as code": raw(func(string) string { return "HTTP/1.1 " + told + "\r\n\r\n" }),
		"repeats it as Location": raw(func(string) string {
			return "HTTP/1.1 302 x\r\nLocation: http://x/" + told + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
		}),
		"repeats it as Retry-After": raw(func(string) string {
			return "HTTP/1.1 503 x\r\nRetry-After: " + told + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
		}),
		"repeats it as Content-Length": raw(func(string) string { return "HTTP/1.1 200 x\r\nContent-Length: " + told + "\r\n\r\n" }),
		"repeats it as encoding":       raw(func(string) string { return "HTTP/1.1 200 x\r\nTransfer-Encoding: " + told + "\r\n\r\n" }),
		"repeats it as field":          raw(func(string) string { return "HTTP/1.1 200 x\r\n" + told + "\r\n\r\n" }),
		"echoes":                       raw(func(s string) string { return s }),
		"resets":                       answers(reset),
		"hangs":                        answers(hangs),
	}
	for name, peer := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keepsSecrets(t, options(rawPeer(t, peer)), canaries)
		})
	}
	t.Run("refuses", func(t *testing.T) {
		t.Parallel()
		gone, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = gone.Close()
		keepsSecrets(t, options(gone.Addr().String()), canaries)
	})
	t.Run("no TLS", func(t *testing.T) {
		t.Parallel()
		o := options(rawPeer(t, answer("200 x", as)))
		o.URL = "https" + strings.TrimPrefix(o.URL, "http")
		keepsSecrets(t, o, canaries)
	})
}

// A secret alone is found, however an answer escapes it, and wherever it stands.
func TestWebhookHidden(t *testing.T) {
	t.Parallel()
	w := testWebhook(t, WebhookOptions{
		URL:     "https://UsErNaMe:pa%2Fss+w%22or%27d%3C9@example.com/bot4711:AA-Hk_x/send/T00000000?token=q%26u+e&chat=lower",
		Headers: map[string]string{"X-Key": "k/e+y=", "X-Login": "Bearer twowords"}, Secret: testSecret, OldSecret: secretPrefix + oldSecret,
		Body: map[string]any{"token": "BoDyCaNaRy123"},
	})
	for _, secret := range []string{
		"UsErNaMe", `pa/ss+w"or'd<9`, "bot4711:AA-Hk_x", "T00000000", "q&u e", "lower", "k/e+y=", "twowords", "BoDyCaNaRy123",
		strings.TrimPrefix(testSecret, secretPrefix), oldSecret, base64.StdEncoding.EncodeToString([]byte(`UsErNaMe:pa/ss+w"or'd<9`)),
	} {
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		asGo := string(quoted[1 : len(quoted)-1])
		quoted = appendString(nil, secret)
		plain := string(quoted[1 : len(quoted)-1])
		for _, form := range []string{secret, asGo, plain, strings.ReplaceAll(plain, "/", `\/`), url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret)} {
			for _, text := range []string{form, "no key " + form + " here", `{"x":"` + form + `"}`} {
				if got := w.hidden.show(text); !strings.HasPrefix(got, "(not shown") {
					t.Errorf("%q shows %s", text, got)
				}
			}
		}
	}
	for _, text := range []string{"", "ok", "bad request", "chat not found", "example.com", `{"error":"application failed"}`} {
		if got := w.hidden.show(text); got != text {
			t.Errorf("%q shows %q", text, got)
		}
	}
}

// keepsSecrets handles an event in a router whose log is at debug.
func keepsSecrets(t *testing.T, options WebhookOptions, canaries []string) {
	t.Helper()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "in"}},
		Handlers: []router.HandlerSpec{{Name: "hook", New: func(env router.Env) (router.Handler, error) {
			w, err := newWebhook(env.Service, options)
			if err != nil {
				return nil, err
			}
			return failing{w}, nil
		}}},
		Routes: []router.Route{{Channel: "in", Types: []string{"*"}, Handler: "hook"}},
	}, logger)
	if err != nil {
		t.Fatal(err)
	}
	box.Send("in", `{"type":"a","data":{"x":"y"}}`)
	if err := box.Close(); err != nil {
		t.Error(err)
	}
	said := log.String()
	for _, o := range box.Outcomes() {
		if o.Err == nil {
			t.Errorf("the receiver did not fail: %v", o.Result)
		}
		for err := o.Err; err != nil; err = errors.Unwrap(err) {
			said += fmt.Sprintf("\n%v %+v", err, err)
		}
	}
	if !strings.Contains(said, "POST to http") {
		t.Errorf("no error was told: %s", said)
	}
	for _, canary := range canaries {
		if strings.Contains(said, canary) {
			t.Errorf("%q was told:\n%s", canary, said)
		}
	}
}

// failing makes every failure a final one, so that a test needs no waiting.
type failing struct{ *webhook }

func (f failing) Handle(ctx context.Context, event *router.Event) error {
	if err := f.webhook.Handle(ctx, event); err != nil {
		return router.Permanent(err)
	}
	return nil
}

// TestWebhookTellsAnswers is the other side: what is no secret is told.
func TestWebhookTellsAnswers(t *testing.T) {
	t.Parallel()
	const said = `{"ok":false,"description":"Bad Request: can't parse the application's entities in message text at /send"}`
	peer := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, said)
	})
	w := testWebhook(t, WebhookOptions{
		URL: peer.URL + "/bot4711:AAHdqTcv/sendMessage", Secret: testSecret,
		Headers: map[string]string{"Accept": "application/json", "User-Agent": "message text"},
		Body:    map[string]any{"text": "message text", "parse_mode": "entities"},
	})
	err := w.Handle(t.Context(), &router.Event{ID: "7", Type: "a"})
	if want := "POST to " + peer.URL + ": the receiver answered 400 Bad Request: " + said; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
