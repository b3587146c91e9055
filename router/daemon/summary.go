package daemon

import (
	"net/url"
	"slices"
	"sync"
	"time"

	"signalbox/router"
	"signalbox/router/ops"
	"signalbox/router/source"
	"signalbox/router/transport"
)

// losses adds up what the transports know to be lost.
type losses struct {
	mu     sync.Mutex
	events int
	blind  time.Duration // the longest gap
	of     map[lossKey]ops.Loss
}

// lossKey is what was lost where: the Redis name or pattern, and why.
type lossKey struct{ topic, reason string }

func (l *losses) add(loss transport.Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events += loss.Events
	l.blind = max(l.blind, loss.Blind)
	if l.of == nil {
		l.of = map[lossKey]ops.Loss{}
	}
	key := lossKey{loss.Topic, loss.Reason}
	sum := l.of[key]
	sum.Reason, sum.Channel = loss.Reason, loss.Topic
	sum.Events += uint64(loss.Events) //nolint:gosec // a count
	sum.Times++
	sum.Blind += loss.Blind
	l.of[key] = sum
}

// byChannel are the sums, under the names that a configuration declares.
func (l *losses) byChannel(cfg router.Config) []ops.Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	sums := make([]ops.Loss, 0, len(l.of))
	for key, sum := range l.of {
		if i := slices.IndexFunc(cfg.Channels, func(ch router.Channel) bool { return ch.Topic == key.topic }); i >= 0 {
			sum.Channel = cfg.Channels[i].Name
		}
		sums = append(sums, sum)
	}
	return sums
}

func (l *losses) total() (events int, blind time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events, l.blind
}

// sums are a router's counters, added up.
type sums struct {
	Received, Handled, Failed, Unmatched, Rejected uint64
	Retried, Skipped, Filtered, Abandoned          uint64
	Duplicates, Unmarked, Withdrawn                uint64
	CrashLoop, Missing                             uint64
	Dead                                           uint64 // kept as dead letters
	Unfinished                                     uint64 // kept by their streams
	Lost                                           uint64 // cut short on Pub/Sub, which keeps nothing

	Published, Unpublished, LeftOut uint64 // by sources: published, read and not published, never sent to us
}

func (p *program) totals(stats router.Stats) (t sums) {
	lost, _ := p.losses.total()
	t.Lost = uint64(lost) //nolint:gosec // a count

	for _, ch := range stats.Channels {
		t.Received += ch.Received
		t.Unmatched += ch.Unmatched
		t.CrashLoop += ch.CrashLoop
		t.Missing += ch.Missing
		t.Dead += ch.Dead
		for _, n := range ch.Rejected {
			t.Rejected += n
		}
	}
	for _, r := range stats.Routes {
		t.Handled += r.Handled
		t.Failed += r.Failed
		t.Retried += r.Retried
		t.Skipped += r.Skipped
		t.Filtered += r.Filtered
		t.Abandoned += r.Abandoned
		t.Duplicates += r.Duplicates
		t.Withdrawn += r.Withdrawn
		t.Unmarked += r.Unmarked
		t.Dead += r.Dead
		if ch, _ := p.channel(r.Channel); ch.Transport == router.Stream {
			t.Unfinished += r.Unfinished
		} else {
			t.Lost += r.Unfinished
		}
	}
	return t
}

// addSources adds what sources have published, and what they have not.
func (t *sums) addSources(sources []source.Stats) {
	for _, s := range sources {
		t.Published += s.Published
		t.Unpublished += s.Dropped
		t.LeftOut += s.Missing
	}
}

// summarize is the last line of a run.
func (p *program) summarize(stats router.Stats, sources []source.Stats, took time.Duration) {
	t := p.totals(stats)
	t.addSources(sources)
	_, blind := p.losses.total()
	attrs := []any{
		"after", took.Round(time.Millisecond), "received", t.Received, "handled", t.Handled, "failed", t.Failed,
		"unmatched", t.Unmatched, "rejected", t.Rejected, "lost", t.Lost,
	}
	for _, more := range []struct {
		name  string
		count uint64
	}{
		{"retried", t.Retried},
		{"skipped", t.Skipped},
		{"filtered", t.Filtered},
		{"duplicates", t.Duplicates},
		{"withdrawn", t.Withdrawn},
		{"unmarked", t.Unmarked},
		{"abandoned", t.Abandoned},
		{"crash_loop", t.CrashLoop},
		{"missing", t.Missing},
		{"dead_letters", t.Dead},
		{"unfinished", t.Unfinished},
		{"published", t.Published},
		{"unpublished", t.Unpublished},
		{"left_out", t.LeftOut},
	} {
		if more.count > 0 {
			attrs = append(attrs, more.name, more.count)
		}
	}
	if blind > 0 {
		attrs = append(attrs, "longest_gap", blind.Round(time.Millisecond))
	}
	p.log.Info("stopped", attrs...)
}

// redacted is a URL that may be shown: without its password.
func redacted(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable URL)"
	}
	return u.Redacted()
}
