// Package handlers has the kinds of handler that every router comes with.
//
// A kind is one file: its options, and a constructor that returns a [router.Kind]. Its
// line in [Register] and its section in docs/handlers.md are all that it needs beside
// that. A program that wants only some of them, or its own beside them, adds kinds to
// the registry itself:
//
//	kinds := router.NewRegistry(handlers.Log(), handlers.Publish(), trade())
package handlers

import "signalbox/router"

// Register adds all kinds of this package. It panics when r has a kind of the same name.
func Register(r *router.Registry) {
	r.Add(
		Drop(),
		Exec(),
		File(),
		Latest(),
		Log(),
		PaperBot(),
		Publish(),
		SQL(),
		Webhook(),
	)
}
