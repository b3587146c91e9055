package transport

import (
	"context"
	"sync"
	"time"
)

// MemoryDedupe remembers in memory, for tests and single processes, which keys are in
// progress and which are done. It is a router.Dedupe. The zero value remembers nothing
// yet.
type MemoryDedupe struct {
	// Now is what windows are measured by; nil: time.Now. Leases never are: they are about
	// processes that die, and a test whose clock jumps has none.
	Now func() time.Time

	mu    sync.Mutex
	marks map[string]mark
}

// mark is what is known of a key until it ends.
type mark struct {
	token string // of who holds it; empty: it is done
	ends  time.Time
}

// Claim takes the keys that are free, and makes those that the tokens hold already
// last for a whole lease again. Mine says which keys are held by their token now, done
// which are done; all others are held by other tokens.
func (m *MemoryDedupe) Claim(ctx context.Context, keys, tokens []string, lease time.Duration) (mine, done []bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	mine, done = make([]bool, len(keys)), make([]bool, len(keys))
	for i, key := range keys {
		have, there := m.marks[key]
		done[i] = there && have.token == ""
		if mine[i] = !there || have.token == tokens[i]; mine[i] {
			m.marks[key] = mark{tokens[i], time.Now().Add(lease)}
		}
	}
	return mine, done, nil
}

// Done marks keys as done for the window, whoever holds them.
func (m *MemoryDedupe) Done(_ context.Context, keys []string, window time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	for _, key := range keys {
		m.marks[key] = mark{ends: m.now().Add(window)}
	}
	return nil
}

// Release frees those keys that are still held by their token.
func (m *MemoryDedupe) Release(_ context.Context, keys, tokens []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	for i, key := range keys {
		if have, there := m.marks[key]; there && have.token == tokens[i] {
			delete(m.marks, key)
		}
	}
	return nil
}

// forget removes what has ended. Looking at everything is slow with many keys; that is
// for Redis.
func (m *MemoryDedupe) forget() {
	if m.marks == nil {
		m.marks = map[string]mark{}
	}
	for key, have := range m.marks {
		now := time.Now()
		if have.token == "" {
			now = m.now()
		}
		if !now.Before(have.ends) {
			delete(m.marks, key)
		}
	}
}

func (m *MemoryDedupe) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}
