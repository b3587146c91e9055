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
		Drain:  max(p.loaded.Settings.Drain, givingBack),
		Logger: p.log,
	})
}

// givingBack is how long sources may take to end whatever the drain: what is not given back,
// the next router waits for.
const givingBack = 500 * time.Millisecond

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

// sourceStats are how the sources are, with what Redis says to those that stand by.
func (p *program) sourceStats() []source.Stats {
	stats := p.sources.Stats()
	for i := range stats {
		if err := p.redis.LeaseTrouble(stats[i].Source); err != nil && stats[i].State == source.StandingBy {
			stats[i].Trouble = "it does not connect, since its lease cannot be asked for: " + err.Error()
		}
	}
	return stats
}

// opsSources are the sources as the HTTP side shows them.
func (p *program) opsSources() []ops.Source {
	hours := map[string]router.Hours{}
	for _, spec := range p.config.Load().Sources {
		hours[spec.Name] = spec.Hours
	}
	now := time.Now()
	stats := p.sourceStats()
	shown := make([]ops.Source, len(stats))
	for i, s := range stats {
		_, open := hours[s.Source].Open(now)
		shown[i] = shownSource(s, open)
	}
	return shown
}

func shownSource(s source.Stats, expected bool) ops.Source {
	return ops.Source{
		Name: s.Source, Kind: s.Kind, Channel: s.Channel,
		State: ops.SourceState(s.State), Since: s.Since, Until: s.Until, Why: s.Why, Trouble: s.Trouble,
		Holds: s.Holds, Epoch: s.Epoch, At: s.At, Expected: expected, LastData: s.LastData, LastSeen: s.LastSeen,
		Sessions: s.Sessions, Attempts: s.Attempts, Received: s.Received, Published: s.Published, Other: s.Other,
		Duplicates: s.Duplicates, Dropped: s.Dropped, Missing: s.Missing, Rejected: s.Rejected, Queued: s.Queued,
	}
}

// unready says which sources do not do what they are there for. One that another router
// holds is that router's.
func unready(stats []source.Stats, now time.Time) []ops.Reason {
	var reasons []ops.Reason
	for _, s := range stats {
		if text := obstacle(s); text != "" {
			if left := s.Until.Sub(now); left > 0 {
				text += fmt.Sprintf("; it tries again in %s", max(left.Round(time.Second), time.Second))
			}
			reasons = append(reasons, ops.Reason{What: "source", Text: fmt.Sprintf("source %q: %s", s.Source, text)})
		}
	}
	return reasons
}

// obstacle is why a source is not read although this router should do so; empty: it is, or
// that is for others to do.
func obstacle(s source.Stats) string {
	text := ""
	switch s.State {
	case source.StandingBy, source.Connected:
		return s.Trouble
	case source.Connecting:
		return "it is connecting"
	case source.GivenUp:
		text = "it is given up"
	case source.StoodDown:
		text = "it stands down"
	case source.Waiting:
		text = "it is not connected"
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}
