package sources_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"signalbox/router"
	"signalbox/router/routesfile"
	"signalbox/sources"
)

// loadWebSocket reads a file whose [sources.NAME] tables have nothing but options of the kind,
// and what is published keys. The options are decoded as those of a handler are.
func loadWebSocket(t *testing.T, text string) (map[string]sources.WebSocketOptions, error) {
	t.Helper()
	read := map[string]sources.WebSocketOptions{}
	kind := sources.WebSocket()
	kinds := router.NewRegistry(router.Kind[sources.WebSocketOptions]{
		Name: kind.Name, Defaults: kind.Defaults,
		New: func(env router.Env, o sources.WebSocketOptions) (router.Handler, error) {
			read[env.Handler] = o
			_, err := kind.New(router.SourceEnv{}, o)
			return router.HandlerFunc(func(context.Context, *router.Event) error { return nil }), err
		},
	})
	text = strings.ReplaceAll(text, "[sources.", "[handlers.")
	text = regexp.MustCompile(`(?m)^(channel|split|type_field) .*$`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`\$\{file:[^}]*\}`).ReplaceAllString(text, "secret")
	for _, name := range regexp.MustCompile(`(?m)^\[handlers\.(\w+)\]$`).FindAllStringSubmatch(text, -1) {
		text += "\n[[routes]]\nchannel = \"x\"\ntype = \"*\"\nhandler = \"" + name[1] + "\"\n"
	}
	text += "\n[channels.x]\ntransport = \"pubsub\"\n"
	path := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	result, err := routesfile.Load(routesfile.Source{Paths: []string{path}, Environ: []string{"CLIENT_ID=me"}}, kinds)
	if err != nil {
		return nil, err
	}
	for _, handler := range result.Config.Handlers {
		if _, err := handler.New(router.Env{Handler: handler.Name}); err != nil {
			t.Errorf("%s: %v", handler.Name, err)
		}
	}
	return read, nil
}

// The examples of the page are right, and mean what they seem to.
func TestWebSocketPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## websocket\n")
	if !found {
		t.Fatal("docs/sources.md has no section websocket")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var names []string
	for _, example := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(section, -1) {
		read, err := loadWebSocket(t, example[1])
		if err != nil {
			t.Errorf("%v\n%s", err, example[1])
		}
		names = slices.AppendSeq(names, maps.Keys(read))
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "alpaca binance bitfinex deribit futures htx kraken kucoin" {
		t.Errorf("the page has the sources %s", got)
	}
	for _, key := range routesfile.OptionsOf(router.Kind[sources.WebSocketOptions]{Name: "websocket"}.Info()) {
		if !regexp.MustCompile(`(?m)^\| [^|]*` + "`" + key.Name + "`").MatchString(section) {
			t.Errorf("docs/sources.md has no row for option %s", key.Name)
		}
	}
}

// Options of the file become the options of the kind, and a mistake is found where it is.
func TestWebSocketFile(t *testing.T) {
	t.Parallel()
	read, err := loadWebSocket(t, `
[sources.a]
kind      = "websocket"
url       = ["wss://host/ws"]
max_bytes = "2MiB"
heartbeat = { type = "hb", code = 7, data.x = true }
errors    = [{ code = [4001, 4002], status = 406, then = "stand_down" }]
handshake = [{ send = { op = "a", n = 1 }, expect = "x", timeout = "2s" }]
`)
	if err != nil {
		t.Fatal(err)
	}
	o := read["a"]
	if o.MaxBytes != 2<<20 || o.Auth.Request.Method != "POST" || o.Handshake[0].Timeout.Seconds() != 2 || o.Ping.Timeout.Seconds() != 10 {
		t.Errorf("read %+v", o)
	}
	_, err = loadWebSocket(t, `
[sources.a]
kind      = "websocket"
url       = ["https://host/ws"]
rotate    = "1ms"
heartbeat = 5
decode    = "zip"
pings     = { every = "1s" }

[sources.b]
kind      = "websocket"
url       = ["https://host/ws"]
subscribe = ["{tme_ms}"]
heartbeat = 5
errors    = [{ match = { type = "error" }, then = "retry" }, { then = "retry" }]
`)
	var errs routesfile.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("the error is %v", err)
	}
	var got []string
	for _, e := range errs {
		got = append(got, e.Message)
	}
	for _, want := range []string{
		`rotate: "1ms" is too low; write 10ms or more`,
		`want gzip or deflate, have "zip"`,
		`unknown option "pings"; did you mean "ping"?`,
		`url: the scheme is not ws or wss; write wss:// before the host`,
		`subscribe.0: {tme_ms} is no reference`,
		`heartbeat: a pattern is a text, a table { path = value } or a list of these`,
		`errors.1 has nothing to tell the error by; write match, code or status`,
	} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("no error has %s:\n%s", want, strings.Join(got, "\n"))
		}
	}
}
