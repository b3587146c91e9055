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
// "hanging" it plays a router that has a kind of its own, which hangs.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"router": main, "hanging": hanging})
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
