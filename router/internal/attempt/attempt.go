// Package attempt is between the router and the recorders of package routertest, which
// answer in place of handlers: which route an attempt is of, and that it timed out.
package attempt

import (
	"context"
	"errors"
	"time"
)

// ErrTimeout is the verdict of a recorder on an attempt that is to count as one that took
// longer than the route's timeout.
var ErrTimeout = errors.New("the handler has not returned")

// Info is what a recorder may know of an attempt. Of one event, each route has attempts
// of its own.
type Info struct {
	Route   string
	Timeout time.Duration // not positive: none
}

type infoKey struct{}

// With returns a context that carries info.
func With(ctx context.Context, info Info) context.Context {
	return context.WithValue(ctx, infoKey{}, info)
}

// From is the info that ctx carries, or nothing.
func From(ctx context.Context) Info {
	info, _ := ctx.Value(infoKey{}).(Info)
	return info
}
