package cli_test

import (
	"context"
	"fmt"
	"os"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/cli"
)

// A bot: a kind of its own, the kinds that every router has, and every command.
func ExampleMain() {
	type options struct {
		Bot string `toml:"bot" doc:"whose commands to obey"`
	}
	trader := router.Kind[options]{
		Name: "trader",
		Doc:  "Obeys the trade commands for one bot.",
		New: func(_ router.Env, o options) (router.Handler, error) {
			return router.HandlerFunc(func(_ context.Context, event *router.Event) error {
				fmt.Println(o.Bot, "obeys", event.Type)
				return nil
			}), nil
		},
	}
	kinds := router.NewRegistry(trader)
	handlers.Register(kinds)
	os.Exit(cli.Main(kinds, "1.0"))
}
