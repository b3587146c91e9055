// Command gobot is a bot that brings its own kind of handler and has every command of
// the router: gobot run, gobot check, gobot tail, gobot docs trader, …
package main

import (
	"os"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/cli"
	"signalbox/sources"
)

func main() {
	kinds := router.NewRegistry(trader())
	handlers.Register(kinds)
	sources.Register(kinds)
	os.Exit(cli.Main(kinds, "0.1"))
}
