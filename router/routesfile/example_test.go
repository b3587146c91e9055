package routesfile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"signalbox/router"
	"signalbox/router/routesfile"
)

func ExampleLoad() {
	// A program has its own kinds of handlers; options are checked with the rest.
	type options struct {
		Bot string `toml:"bot" doc:"whom to tell"`
	}
	kinds := router.NewRegistry(router.Kind[options]{
		Name: "trade",
		New: func(router.Env, options) (router.Handler, error) {
			return router.HandlerFunc(func(context.Context, *router.Event) error { return nil }), nil
		},
	})

	folder, err := os.MkdirTemp("", "routes")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	load := func(text string) {
		path := filepath.Join(folder, "routes.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			fmt.Println(err)
			return
		}
		result, err := routesfile.Load(routesfile.Source{Paths: []string{path}, Environ: []string{"BOT=momentum"}}, kinds)
		if errs, ok := err.(routesfile.Errors); ok { //nolint:errorlint // what Load returns
			for _, e := range errs {
				fmt.Printf("line %d: %s\n", e.Line, e.Message)
			}
			return
		}
		for _, route := range result.Config.Routes {
			fmt.Println(route.Channel, route.Types, "to", route.Handler)
		}
	}

	load(`
[channels.commands]
transport = "stream"
types     = ["start", "stop"]

[handlers.trade]
bot = "${BOT}"

[[routes]]
channel = "commands"
type    = "*"
handler = "trade"
`)
	load(`
[channels.commands]
transport = "stream"
types     = ["start", "stop"]

[handlers.trade]
bt = "${BOT}"

[[routes]]
channel = "comands"
type    = "*"
handler = "trade"
`)
	// Output:
	// commands [*] to trade
	// line 7: handler "trade": unknown option "bt"; did you mean "bot"?
	// line 10: route 1: unknown channel "comands"; did you mean "commands"?
}
