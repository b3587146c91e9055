// Command router carries Redis messages to the handlers that routes.toml names.
package main

import (
	"os"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/cli"
)

var version = "dev"

func main() {
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	os.Exit(cli.Main(kinds, version))
}
