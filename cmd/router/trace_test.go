package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signalbox/internal/redistest"
)

// traceRoutes forward from one stream to another, and from there to a receiver and to
// programs. %s are the receiver and a file.
const traceRoutes = `
[service]
name = "desk"
[redis]
url = "${REDIS_URL}"
[log]
format = "json"
[channels.in]
transport = "stream"
[channels.out]
transport = "stream"
[handlers.forward]
kind    = "publish"
channel = "out"
[handlers.hook]
kind = "webhook"
url  = "%s"
[handlers.each]
kind    = "exec"
mode    = "once"
command = ["sh", "-c", 'echo "each|$$TRACEPARENT|$$TRACESTATE" >> "$$0"', '%s']
[handlers.bot]
kind    = "exec"
command = ["sh", "-c", 'while read -r line; do echo "bot|$$line" >> "$$0"; echo "{\"ok\":true}"; done', '%[2]s']
[[routes]]
channel = "in"
type    = "*"
handler = "forward"
[[routes]]
channel = "out"
type    = "*"
handler = ["hook", "each", "bot", "log"]
`

// A message's trace context arrives at whoever works for the event in the end, in whichever
// form it came, and a message without one brings none.
func TestATraceGoesAllTheWay(t *testing.T) {
	const parent, state = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "congo=t61rcWkgMzE"
	headers := make(chan string, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		headers <- r.Header.Get("traceparent") + "|" + r.Header.Get("tracestate")
	}))
	defer receiver.Close()
	dir := t.TempDir()
	notes, routes := filepath.Join(dir, "notes"), filepath.Join(dir, "routes.toml")
	if err := os.WriteFile(routes, fmt.Appendf(nil, traceRoutes, receiver.URL, notes), 0o600); err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t)
	r := startRouter(t, server.URL(), "run", "-c", routes)
	r.awaitReady()
	message := fmt.Sprintf(`{"type":"a","id":"1","traceparent":%q,"tracestate":%q}`, parent, state)
	for _, test := range []struct {
		id    string
		entry []any
		want  string
		trace string
	}{
		{"1", []any{"payload", message}, parent + "|" + state, parent[3:35]},
		{"2", []any{"type", "a", "id", "2", "traceparent", parent, "tracestate", state, "data", `{"x":1}`}, parent + "|" + state, parent[3:35]},
		{"3", []any{"type", "a", "id", "3", "traceparent", parent, "traceparent", parent}, "|", ""},
		{"4", []any{"payload", `{"type":"a","id":"4"}`}, "|", ""},
	} {
		if err := server.Client().Do(t.Context(), append([]any{"XADD", "in", "*"}, test.entry...)...).Err(); err != nil {
			t.Fatal(err)
		}
		r.await("the event "+test.id, func(l line) bool { return l.Msg == "event" && l.ID == test.id && l.TraceID == test.trace })
		if got := <-headers; got != test.want {
			t.Errorf("event %s: the receiver got %q, want %q", test.id, got, test.want)
		}
		told := `bot|{"id":"` + test.id + `"`
		eventually(t, "the programs", func() bool {
			said, _ := os.ReadFile(notes)
			return strings.Contains(string(said), "each|"+test.want+"\n") && strings.Contains(string(said), told)
		})
		said, _ := os.ReadFile(notes)
		_, line, _ := strings.Cut(string(said), told)
		line, _, _ = strings.Cut(line, "\n")
		if has := strings.Contains(line, fmt.Sprintf(`"traceparent":%q,"tracestate":%q`, parent, state)); has != (test.trace != "") {
			t.Errorf("event %s: the program was told %s", test.id, line)
		}
		if err := os.Remove(notes); err != nil {
			t.Fatal(err)
		}
	}
	r.stop()
}
