package handlers

import (
	"context"

	"signalbox/router"
)

// Drop is the kind for events that are known and of no interest here: with a route to
// it they count as handled, not as unmatched.
func Drop() router.Kind[struct{}] {
	return router.Kind[struct{}]{
		Name: "drop",
		Doc:  "Ignores events that are known, so that they don't count as unmatched.",
		Pure: true,
		New: func(router.Env, struct{}) (router.Handler, error) {
			return router.HandlerFunc(func(context.Context, *router.Event) error { return nil }), nil
		},
	}
}
