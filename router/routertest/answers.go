package routertest

import (
	"context"
	"errors"
	"sync"

	"signalbox/router"
	"signalbox/router/internal/attempt"
)

// Panic is an answer that makes the handler panic.
func Panic(value string) error { return &panicAnswer{value} }

// ErrTimeout is an answer that takes longer than the route's timeout.
var ErrTimeout = attempt.ErrTimeout

// errNoTimeout is the verdict instead where a route has none.
var errNoTimeout = router.Permanent(errors.New("this route has no timeout: the handler would never return"))

type panicAnswer struct{ value string }

func (p *panicAnswer) Error() string { return "panics: " + p.value }

// answering is a handler that returns the given verdicts, attempt by attempt; the last one
// repeats, and without any it accepts everything.
type answering struct {
	answers []error
	clock   *clock

	mu    sync.Mutex
	tries map[try]int
}

// try is what has attempts of its own: an event on a route.
type try struct {
	event *router.Event
	route string
}

func newAnswering(clock *clock, answers []error) func(router.Env) (router.Handler, error) {
	return func(router.Env) (router.Handler, error) {
		return &answering{answers: answers, clock: clock, tries: map[try]int{}}, nil
	}
}

func (a *answering) Handle(ctx context.Context, event *router.Event) error {
	if len(a.answers) == 0 {
		return nil
	}
	a.mu.Lock()
	this := try{event, attempt.From(ctx).Route}
	n := min(a.tries[this], len(a.answers)-1)
	a.tries[this]++
	a.mu.Unlock()
	if p, ok := errors.AsType[*panicAnswer](a.answers[n]); ok {
		panic(p.value)
	}
	if errors.Is(a.answers[n], ErrTimeout) {
		return a.late(ctx)
	}
	return a.answers[n]
}

// late returns when the time of the attempt is over.
func (a *answering) late(ctx context.Context) error {
	timeout := attempt.From(ctx).Timeout
	switch {
	case timeout <= 0:
		return errNoTimeout
	case a.clock.fake:
		a.clock.sleep(ctx, nil, timeout)
	default:
		<-ctx.Done()
	}
	if context.Cause(ctx) != nil {
		return context.Cause(ctx) // the end of the test, or of real time
	}
	return ErrTimeout
}
