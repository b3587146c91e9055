// Package cli translates flags, signals and errors: subcommands into calls of package
// daemon, SIGINT and SIGTERM into the end of a context, errors into exit codes.
//
// A program with kinds of its own has every command of the router: see [Main].
package cli
