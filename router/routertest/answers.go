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

type panicAnswer struct{ value string }

func (p *panicAnswer) Error() string { return "panics: " + p.value }

// answering is a handler that returns the given verdicts, attempt by attempt; the last one
// repeats, and without any it accepts everything.
type answering struct {
	answers []error

	mu    sync.Mutex
	tries map[try]int
}

// try is what has attempts of its own: an event on a route.
type try struct {
	event *router.Event
	route string
}

func newAnswering(answers []error) func(router.Env) (router.Handler, error) {
	return func(router.Env) (router.Handler, error) {
		return &answering{answers: answers, tries: map[try]int{}}, nil
	}
}

func (a *answering) Handle(ctx context.Context, event *router.Event) error {
	if len(a.answers) == 0 {
		return nil
	}
	a.mu.Lock()
	this := try{event, attempt.Route(ctx)}
	n := min(a.tries[this], len(a.answers)-1)
	a.tries[this]++
	a.mu.Unlock()
	if p, ok := errors.AsType[*panicAnswer](a.answers[n]); ok {
		panic(p.value)
	}
	return a.answers[n]
}
