// Command gobot is a bot that brings its own kinds of handler and source, and has every
// command of the router: gobot run, gobot check, gobot tail, gobot docs trader, …
package main

import (
	"os"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/cli"
	"signalbox/sources"
)

func main() {
	os.Exit(cli.Main(kinds(), "0.1"))
}

// kinds are the bot's own, and those of every router.
func kinds() *router.Registry {
	own := router.NewRegistry(trader())
	own.AddSources(lines())
	handlers.Register(own)
	sources.Register(own)
	return own
}
