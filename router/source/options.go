package source

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"signalbox/router"
)

// Options are what sources need of the world.
type Options struct {
	// Acquire waits until this process holds a source, or needs no lease for it. Only ctx
	// ends the wait. Required.
	Acquire func(ctx context.Context, spec router.SourceSpec, to router.Channel) (Term, error)
	// Spend asks for leave to connect. Wait is 0 when it is granted, else when to ask again.
	// Nil: there is no budget.
	Spend func(ctx context.Context, source string, budget router.Budget) (wait time.Duration, err error)
	// Drain is how long Run may take to end, if a source or Redis does not let it; 0: 10 s.
	Drain  time.Duration
	Logger *slog.Logger // nil: no log
}

func (o Options) complete() (Options, error) {
	if o.Acquire == nil {
		return o, errors.New("source: Options.Acquire is missing")
	}
	if o.Spend == nil {
		o.Spend = func(context.Context, string, router.Budget) (time.Duration, error) { return 0, nil }
	}
	if o.Drain <= 0 {
		o.Drain = stopFor
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// The defaults of a [router.SourceSpec].
const (
	defaultStandDown  = 15 * time.Minute
	defaultBackoff    = time.Second
	defaultMaxBackoff = time.Minute
	defaultConnects   = 20
	defaultPer        = 10 * time.Minute
	defaultQueue      = 65536
	defaultQueueBytes = 32 << 20
)

// completed fills in what a spec leaves open, but for LeaseFor, which Options.Acquire knows.
func completed(spec router.SourceSpec) router.SourceSpec {
	if spec.Conflict == "" {
		spec.Conflict = router.Refuses
	}
	spec.StandDown = cmp.Or(spec.StandDown, defaultStandDown)
	spec.Backoff = cmp.Or(spec.Backoff, defaultBackoff)
	spec.MaxBackoff = cmp.Or(spec.MaxBackoff, max(defaultMaxBackoff, spec.Backoff))
	spec.Queue = cmp.Or(spec.Queue, defaultQueue)
	spec.QueueBytes = cmp.Or(spec.QueueBytes, defaultQueueBytes)
	if spec.Budget == (router.Budget{}) {
		spec.Budget = router.Budget{Connects: defaultConnects, Per: defaultPer}
	}
	return spec
}
