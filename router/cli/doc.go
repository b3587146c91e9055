// Package cli translates flags, signals and errors: subcommands into calls of package
// daemon, SIGINT and SIGTERM into the end of a context, errors into exit codes.
//
// A program with kinds of its own has every command of the router:
//
//	func main() {
//		kinds := router.NewRegistry(myKind())
//		handlers.Register(kinds)
//		os.Exit(cli.Main(kinds, "1.0"))
//	}
package cli
