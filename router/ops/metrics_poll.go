package ops

import (
	"context"
	"time"
)

// keepFor is how long an answer about streams is good enough, so that several who scrape
// ask Redis no more often than one.
const keepFor = 5 * time.Second

// poll is what Redis said about the streams. Whoever comes while it is being asked gets the
// same answer.
type poll struct {
	ask func(context.Context) ([]Stream, error)

	turn chan struct{} // holds one while somebody looks at what follows
	at   time.Time     // when it was asked; zero: never
	said []Stream
	err  error
}

func newPoll(ask func(context.Context) ([]Stream, error)) *poll {
	return &poll{ask: ask, turn: make(chan struct{}, 1)}
}

func (p *poll) answer(ctx context.Context) ([]Stream, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if p.at.IsZero() || time.Since(p.at) >= keepFor {
		p.said, p.err = p.ask(ctx)
		p.at = time.Now()
	}
	return p.said, p.err
}
