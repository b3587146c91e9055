package sources

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

// The answer of a request before the upgrade says where to connect, and how to log in.
func TestWebSocketPreflight(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		if token := p.r.FormValue("token"); token != "a+b/c==&x" {
			t.Errorf("the token in the address is %q", token)
		}
		if key := p.r.Header.Get("X-Token"); key != "Bearer a+b/c==&x" {
			t.Errorf("the header has %q", key)
		}
		p.hear(`{"login":"a+b/c==\u0026x","ttl":3600}`, `{"topic":"/market/a+b/c==&x"}`)
		p.hear(`{"id":1,"type":"a+b/c==\u0026x"}`)
		p.say("x")
		p.stay()
	})
	asked := make(chan string, 1)
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked <- r.Method + " " + r.URL.String() + " " + r.Header.Get("Content-Type") + " " + r.Header.Get("X-Key") + " " + string(body)
		_, _ = fmt.Fprintf(w, `{"data":{"token":"a+b/c==\u0026x","ttl":3600,"servers":[{"endpoint":%q}]}}`, url+"/endpoint")
	}))
	t.Cleanup(broker.Close)
	run := runWS(t, WebSocketOptions{
		URL: []string{"{request.data.servers.0.endpoint}?token={request.data.token}&connectId={uuid}"},
		Auth: WebSocketAuth{
			Request: WebSocketRequest{URL: broker.URL + "/bullet?x=1", Headers: map[string]string{"X-Key": "k"}, Body: table{"grant": "{id}"}},
			Headers: map[string]string{"X-Token": "Bearer {request.data.token}"},
			Message: table{"login": "{request.data.token}", "ttl": "{request.data.ttl}"},
		},
		Subscribe: []any{table{"topic": "/market/{request.data.token}"}},
		Ping:      WebSocketPing{Every: 5 * time.Millisecond, Send: table{"id": "{id}", "type": "{request.data.token}"}},
	})
	if got, want := <-asked, `POST /bullet?x=1 application/json k {"grant":1}`; got != want {
		t.Errorf("asked %s\nwant %s", got, want)
	}
	run.wantOpened(url + "/endpoint")
	run.want("data x")
}

func TestWebSocketPreflightFails(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host is asked") }))
	t.Cleanup(other.Close)
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "9")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, test := range map[string]struct {
		serve http.HandlerFunc
		want  string
		after time.Duration
	}{
		"401":       {answer(401, "expired"), "/x: the server answered 401 Unauthorized: expired; credentials are read again", 9 * time.Second},
		"403":       {answer(403, ""), "answered 403 Forbidden; credentials are read again", 9 * time.Second},
		"429":       {answer(429, ""), "answered 429 Too Many Requests", 9 * time.Second},
		"500, key":  {answer(500, "your key K3yK3yK3yK3y"), "500 Internal Server Error: (not shown", 9 * time.Second},
		"no JSON":   {answer(200, "<html>"), "the answer is not JSON", 0},
		"nothing":   {answer(204, ""), "the answer is not JSON", 0},
		"no token":  {answer(200, `{"data":{}}`), `the answer to auth.request has nothing at "data.endpoint"`, 0},
		"too large": {answer(200, strings.Repeat(" ", 2<<20)), "the answer is larger than 1MiB", 0},
		"another host": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, "the server answered 307 Temporary Redirect", 0},
		"round and round": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusTemporaryRedirect) }, "the server answered 307 Temporary Redirect", 0},
		"late":            {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer within 50ms", 0},
		"half": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}, "read the answer: unexpected EOF", 0},
		"no address":   {answer(200, `{"data":{"token":"x","endpoint":"http://S3cr3tS3cr3t/"}}`), "url: the scheme is not ws or wss", 0},
		"a line break": {answer(200, `{"data":{"token":"x\r\nHost: y","endpoint":"ws://127.0.0.1:1"}}`), `header field "X-Token": what stands for its reference has a control character`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.serve)
			t.Cleanup(server.Close)
			within := wsWait
			if name == "late" {
				within = 50 * time.Millisecond
			}
			run := runWS(t, WebSocketOptions{
				URL: []string{"{request.data.endpoint}?token={request.data.token}"},
				Auth: WebSocketAuth{
					Request: WebSocketRequest{URL: server.URL + "/x?key=K3yK3yK3yK3y", Method: "POST", Timeout: within},
					Headers: map[string]string{"X-Token": "{request.data.token}"},
				},
			})
			err := run.failure(test.want)
			if strings.Contains(err.Error(), "K3y") || strings.Contains(err.Error(), "S3cr3t") {
				t.Errorf("the verdict shows a secret: %v", err)
			}
			if after, _ := router.IsUnavailable(err); after != test.after {
				t.Errorf("unavailable for %s, want %s", after, test.after)
			}
		})
	}
}

// What the request has brought is not shown, either.
func TestWebSocketPreflightTokenIsHidden(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, `{"data":[{"token":"T0kenT0kenT0ken"}]}`)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "no such token: "+r.Header.Get("X"))
	}))
	t.Cleanup(server.Close)
	err := runWS(t, WebSocketOptions{
		URL: []string{strings.Replace(server.URL, "http", "ws", 1)},
		Auth: WebSocketAuth{
			Request: WebSocketRequest{URL: server.URL},
			Headers: map[string]string{"X": "{request.data.0.token}"},
		},
	}).failure("401 Unauthorized: (not shown: it repeats what may be secret)")
	if strings.Contains(err.Error(), "T0ken") {
		t.Errorf("the verdict shows it: %v", err)
	}
}

// A redirect of a host to itself is followed.
func TestWebSocketPreflightRedirect(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) { p.stay() })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/v2", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(server.Close)
	run := runWS(t, WebSocketOptions{
		URL:  []string{"{request.url}"},
		Auth: WebSocketAuth{Request: WebSocketRequest{URL: server.URL, Body: `{"url":"` + url + `"}`}},
	})
	run.wantOpened(url)
}

// A token that has expired is no end: the next session is made with new options.
func TestWebSocketTokenChanges(t *testing.T) {
	t.Parallel()
	valid := "today"
	url := newWSServer(t, func(p *wsPeer) {
		if p.next() != valid {
			p.say(`{"error":"token expired"}`)
		} else {
			p.say("welcome")
		}
		p.stay()
	})
	session := func(token string) *wsRun {
		return runWS(t, WebSocketOptions{URL: []string{url}, Auth: WebSocketAuth{Message: token, Expect: "welcome", FailOn: table{"error": "*"}}})
	}
	session("yesterday").wantError("credentials are read again before the next attempt")
	session("today").wantOpened(url)
}
