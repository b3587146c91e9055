// Command router carries Redis messages to the handlers that routes.toml names.
package main

import (
	"os"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/cli"
	"signalbox/sources"
)

var version = "dev" // set by the linker: -X main.version=…

func main() {
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	sources.Register(kinds)
	os.Exit(cli.Main(kinds, version))
}
