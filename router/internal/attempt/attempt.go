// Package attempt tells the recorders of package routertest which route an attempt is of:
// of one event, each route has attempts of its own.
package attempt

import "context"

type routeKey struct{}

// WithRoute returns a context that carries the name of a route.
func WithRoute(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, routeKey{}, name)
}

// Route is the name of the route that ctx carries, or empty.
func Route(ctx context.Context) string {
	name, _ := ctx.Value(routeKey{}).(string)
	return name
}
