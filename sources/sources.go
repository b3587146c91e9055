// Package sources has the kinds of source that every router comes with.
//
// A kind is one file, or a few that begin with its name: its options, and a constructor that
// returns a [router.SourceKind]. Its line in [Register] and its section in docs/sources.md
// are all that it needs beside that.
package sources

import "signalbox/router"

// Register adds all kinds of this package. It panics when r has a kind of the same name.
func Register(r *router.Registry) {
	r.AddSources(
		Simulated(),
		WebSocket(),
	)
}
