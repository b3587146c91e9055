package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

// canary is in every secret of the configuration, and nobody may ever see it.
const canary = "c4n4ry"

const secretRoutes = `
[service]
name = "desk"
[redis]
url      = "${REDIS_URL}"
password = "${REDIS_PASSWORD}"
[log]
format = "json"
level  = "debug"
[http]
listen = "${LISTEN}"
token  = "${HTTP_TOKEN}"
write  = true
[channels.in]
transport = "stream"
[channels.ticks]
transport = "pubsub"
[handlers.db]
kind  = "sql"
dsn   = "postgres://desk:c4n4ry-dsn@127.0.0.1:1/events?sslmode=disable"
table = "events"
[handlers.hook]
kind    = "webhook"
url     = "%s/c4n4ry-path"
secret  = "whsec_YzRuNHJ5YzRuNHJ5YzRuNHJ5YzRuNHJ5"
headers = { X-Key = "c4n4ry-header" }
[handlers.program]
kind    = "exec"
mode    = "once"
command = ["false"]
env     = { API_KEY = "c4n4ry-env" }
[[routes]]
channel = "in"
type    = "a"
handler = ["hook", "program"]
when    = 'event.data.key != "${ASKED}"'
[[routes]]
channel  = "*"
type     = "db"
handler  = "db"
isolated = true
`

// No secret is on the page, in a metric, an answer, a dead letter or the log, whatever
// fails: with everything going wrong, everything is asked for and searched.
func TestNoSecretIsEverSeen(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest) // and says all that it was told
		fmt.Fprintln(w, r.URL, r.Header)
	}))
	defer echo.Close()
	server := redistest.Start(t)
	if err := server.Client().ConfigSet(t.Context(), "requirepass", canary+"-redis").Err(); err != nil {
		t.Fatal(err)
	}
	routes, listen := filepath.Join(t.TempDir(), "routes.toml"), freeAddress(t)
	write := func(text string) {
		if err := os.WriteFile(routes, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf(secretRoutes, echo.URL))
	t.Setenv("LISTEN", listen)
	t.Setenv("HTTP_TOKEN", canary+"-0123456789")
	t.Setenv("REDIS_PASSWORD", canary+"-redis")
	t.Setenv("ASKED", canary+"-asked")
	r := startRouter(t, server.URL(), "run", "-c", routes)
	r.awaitReady()
	seen := watchPage(t, "http://"+listen)
	for _, typ := range []string{"a", "db", "unknown"} {
		if err := server.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: "in", Values: []any{"payload", fmt.Sprintf(`{"type":%q,"id":"1","data":{"key":"x"}}`, typ)}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	server.Client().Publish(t.Context(), "ticks", "nonsense")
	eventually(t, "two dead letters", func() bool { return server.Client().XLen(t.Context(), "in.dead").Val() == 2 })
	eventually(t, "the target is away", func() bool { return strings.Contains(r.tail(100), "target is away") })

	var all strings.Builder
	ask := func(method, path, body string) {
		answer := askRouter(t, method, "http://"+listen+path, canary+"-0123456789", body)
		fmt.Fprintf(&all, "\n%s %s:\n%s", method, path, answer)
	}
	everything := func() {
		for _, path := range []string{"/", "/metrics", "/readyz", "/livez", "/api/dead?channel=in", "/api/dead?channel=none", "/-/log-level", "/login", "/nothing"} {
			ask("GET", path, "")
		}
		ask("POST", "/api/publish", `{"channel":"none","type":"a","data":{}}`)
		ask("POST", "/api/publish", `{"channel":"in","type":"a","data":{}}`)
		ask("POST", "/api/replay", `{"channel":"in","ids":["1-1"]}`)
		ask("POST", "/-/log-level", `{"level":"c"}`)
		ask("POST", "/-/reload", "")
	}
	everything()
	write(strings.Replace(fmt.Sprintf(secretRoutes, echo.URL), `"postgres:`, `"postgrs:`, 1) + "\n[[routes]]\nchannel = \"${REDIS_PASSWORD}\"\n")
	ask("POST", "/-/reload", "") // is refused
	t.Log(all.String()[strings.LastIndex(all.String(), "POST"):])
	server.Stop()
	eventually(t, "not ready", func() bool {
		return strings.Contains(askRouter(t, "GET", "http://"+listen+"/readyz", canary+"-0123456789", ""), "does not answer")
	})
	everything()
	r.stopAnyhow()
	for what, text := range map[string]string{"an answer": all.String(), "the live page": seen(), "the log": r.tail(1 << 20)} {
		if len(text) < 500 {
			t.Errorf("%s is too short to be searched: %q", what, text)
		}
		for line := range strings.Lines(text) {
			if strings.Contains(strings.ToLower(line), canary) || strings.Contains(line, "YzRuNHJ5") {
				t.Errorf("%s has a secret: %.600s", what, line)
			}
		}
	}
	if text := seen(); !strings.Contains(text, `"result":"failed"`) || !strings.Contains(text, "event: counts") {
		t.Errorf("the live page tells of no failure: %.2000s", text)
	}
}

// watchPage reads what the live page is told until the test ends.
func watchPage(t *testing.T, url string) (seen func() string) {
	t.Helper()
	return watchPageAs(t, url, canary+"-0123456789")
}

func watchPageAs(t *testing.T, url, token string) (seen func() string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	got, wanted := make(chan string, 4096), make(chan chan string)
	go func() {
		defer func() { _ = answer.Body.Close() }()
		for scan := bufio.NewReader(answer.Body); ; {
			line, err := scan.ReadString('\n')
			if err != nil {
				return
			}
			got <- line
		}
	}()
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go func() {
		for {
			select {
			case line := <-got:
				lines = append(lines, line)
			case to := <-wanted:
				to <- strings.Join(lines, "")
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() string {
		to := make(chan string)
		wanted <- to
		return <-to
	}
}

// askRouter sends a request and returns the status, the header and the body.
func askRouter(t *testing.T, method, url, token, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: 20 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(answer.Status, " ", answer.Header, "\n", string(text))
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// stopAnyhow ends a router that may have things left to do.
func (p *process) stopAnyhow() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	eventually(p.tb, "it stops", func() bool { return slices.ContainsFunc(p.lines(), func(l line) bool { return l.Msg == "stopped" }) })
}
