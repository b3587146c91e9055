package main

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/cli"
	"signalbox/sources"
)

// TestMain lets tests start this program as "router": the test binary plays it. As
// "hanging" it plays a router that has a kind of its own, which hangs, and as "feeding" one
// that has a kind of source of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"router": main, "hanging": hanging, "feeding": feeding})
}

func hanging() {
	kinds := router.NewRegistry(router.Kind[struct{}]{
		Name: "hang",
		Doc:  "Never ends.",
		New: func(env router.Env, _ struct{}) (router.Handler, error) {
			return router.HandlerFunc(func(context.Context, *router.Event) error {
				env.Log.Info("hanging")
				select {}
			}), nil
		},
	})
	handlers.Register(kinds)
	sources.Register(kinds)
	os.Exit(cli.Main(kinds, "test"))
}

// brokerOptions are those of a source that connects nowhere.
type brokerOptions struct {
	URL  []string       `toml:"url" required:"true" doc:"where to connect, in turn"`
	Auth map[string]any `toml:"auth" secret:"true" doc:"how to log in"`
}

func feeding() {
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	kinds.AddSources(router.SourceKind[brokerOptions]{
		Name: "broker", Doc: "Connects nowhere.",
		New: func(router.SourceEnv, brokerOptions) (router.Source, error) {
			return router.SourceFunc(func(ctx context.Context, _ router.Sink) error {
				<-ctx.Done()
				return nil
			}), nil
		},
	})
	os.Exit(cli.Main(kinds, "test"))
}
