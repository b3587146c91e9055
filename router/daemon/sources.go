package daemon

import (
	"context"
	"fmt"
	"time"

	"signalbox/router"
	"signalbox/router/ops"
	"signalbox/router/source"
	"signalbox/router/transport"
)

// newSources makes what runs the sources.
func (p *program) newSources() (*source.Set, error) {
	return source.New(p.loaded.Config, source.Options{
		Acquire: func(ctx context.Context, spec router.SourceSpec, to router.Channel) (source.Term, error) {
			return p.redis.Lease(transport.LeaseConfig{
				Source: spec.Name, Alone: !spec.Lease, For: spec.LeaseFor,
				Topic: to.Topic, Stream: to.Transport == router.Stream, MaxLen: to.MaxLen,
			}).Acquire(ctx)
		},
		Spend: func(ctx context.Context, name string, budget router.Budget) (time.Duration, error) {
			return p.redis.SpendConnect(ctx, name, budget.Connects, budget.Per)
		},
		Logger: p.log,
	})
}

// hearing is how long sources wait for the router's own subscriptions.
const hearing = 2 * time.Second

// runSources runs the sources until ctx ends. They begin when r hears what they say first,
// but a subscription that is refused does not hold them up.
func (p *program) runSources(ctx context.Context, r *router.Router) {
	first, cancel := context.WithTimeout(ctx, hearing)
	defer cancel()
	select {
	case <-r.Running():
		_ = p.redis.Ready(first)
	case <-first.Done():
	}
	p.sources.Run(ctx)
}

// unready says which sources do not do what they are there for. One that another router
// holds is that router's.
func unready(stats []source.Stats) []ops.Reason {
	var reasons []ops.Reason
	for _, s := range stats {
		var text string
		switch s.State {
		case source.StandingBy:
			continue
		case source.Connected:
			if s.Trouble == "" {
				continue
			}
			text = s.Trouble
		case source.GivenUp:
			text = "it is given up: " + s.Why
		case source.Connecting:
			text = "it is connecting"
		case source.Waiting, source.StoodDown:
			if text = "it is not connected"; s.Why != "" {
				text += ": " + s.Why
			}
		}
		reasons = append(reasons, ops.Reason{What: "source", Text: fmt.Sprintf("source %q: %s", s.Source, text)})
	}
	return reasons
}
