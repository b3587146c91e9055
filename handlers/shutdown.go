package handlers

import (
	"context"
	"errors"
)

// shutdown returns the error of a context that the router has ended because it stops, which
// says nothing of a target. It returns nil for one that goes on, or that its route's timeout
// has ended: a target that doesn't answer in time is away.
func shutdown(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return nil
	}
	return ctx.Err()
}
