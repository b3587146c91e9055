package transport

import (
	"context"
	"slices"
	"sync"
	"time"

	"signalbox/router/internal/batch"
)

// MemoryLatest keeps the newest events of keys in memory, for tests and single processes.
// It is a router.Latest. The zero value has none yet.
type MemoryLatest struct {
	Now func() time.Time // nil: time.Now

	mu    sync.Mutex
	slots map[slot]lasting
}

type slot struct{ topic, key string }

// lasting is an event that is kept until it ends.
type lasting struct {
	batch.Kept
	ends time.Time // zero: never
}

// Keep puts each event into the slot of its key, unless a newer one is there.
func (m *MemoryLatest) Keep(ctx context.Context, events []batch.Kept, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.slots == nil {
		m.slots = map[slot]lasting{}
	}
	now := m.now()
	for _, e := range newestOf(events, now) {
		at := slot{e.Topic, e.Key}
		if old, there := m.slots[at]; there && old.lasts(now) && old.Time.After(e.Time) {
			continue
		}
		next := lasting{Kept: e}
		if ttl > 0 {
			next.ends = now.Add(ttl)
		}
		m.slots[at] = next
	}
	return nil
}

// Kept returns the events of the keys, or all of a channel, the oldest first.
func (m *MemoryLatest) Kept(_ context.Context, topic string, keys ...string) ([]batch.Kept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var kept []batch.Kept
	now := m.now()
	for at, one := range m.slots {
		if at.topic == topic && one.lasts(now) && (len(keys) == 0 || slices.Contains(keys, at.key)) {
			kept = append(kept, one.Kept)
		}
	}
	sortKept(kept)
	return kept, nil
}

func (l lasting) lasts(now time.Time) bool { return l.ends.IsZero() || now.Before(l.ends) }

func (m *MemoryLatest) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}
