package handlers_test

import (
	"bytes"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"signalbox/router"
	"signalbox/router/routertest"
)

func TestMain(m *testing.M) {
	if os.Getenv(playsProgram) != "" {
		os.Exit(playProgram(os.Args[1], os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}

// spec is a handler of this kind, named like it.
func spec[T any](kind router.Kind[T], options T) router.HandlerSpec {
	return router.HandlerSpec{Name: kind.Name, Kind: kind.Name, New: func(env router.Env) (router.Handler, error) {
		return kind.New(env, options)
	}}
}

// oneRoute sends every event of the channel "in" to one handler.
func oneRoute(handler router.HandlerSpec) router.Config {
	return router.Config{
		Channels: []router.Channel{{Name: "in", Fields: router.Fields{Key: "data.symbol"}}, {Name: "out"}},
		Handlers: []router.HandlerSpec{handler},
		Routes:   []router.Route{{Channel: "in", Types: []string{"*"}, Handler: handler.Name}},
	}
}

// start runs cfg until the test ends and returns what it logs. A line is there when
// Send has returned.
func start(t *testing.T, cfg router.Config) (*routertest.Box, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	box, err := routertest.New(cfg, slog.New(slog.NewTextHandler(&out, withoutTime())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	return box, &out
}

// withoutTime makes lines the same in every run.
func withoutTime() *slog.HandlerOptions {
	return &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
}
