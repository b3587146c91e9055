package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"signalbox/router"
	"signalbox/router/internal/batch"
)

// world is the Redis of these tests: a lease for each source, and what was published.
type world struct {
	mu        sync.Mutex
	holder    map[string]*term
	epoch     int64
	grant     batch.Grant // but for the epoch; of the terms that begin
	published []published
	failing   error // what Publish returns
	tries     int   // of Publish
	largest   int   // messages of one call
	waits     []time.Duration
}

type published struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	Epoch int64           `json:"epoch"`
	Seq   uint64          `json:"seq"`
	Data  json.RawMessage `json:"data"`
	at    time.Time
	heard time.Time
}

func newWorld() *world {
	return &world{holder: map[string]*term{}, grant: batch.Grant{Orderly: true, Silent: -1}}
}

func (w *world) acquire(ctx context.Context, spec router.SourceSpec, _ router.Channel) (Term, error) {
	for {
		w.mu.Lock()
		if w.holder[spec.Name] == nil || !spec.Lease {
			w.epoch++
			t := &term{world: w, source: spec.Name, done: make(chan struct{}), grant: w.grant}
			t.grant.Epoch = w.epoch
			w.holder[spec.Name] = t
			w.mu.Unlock()
			return t, nil
		}
		w.mu.Unlock()
		if !wait(ctx, 100*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
}

func (w *world) spend(context.Context, string, router.Budget) (time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waits) == 0 {
		return 0, nil
	}
	wait := w.waits[0]
	w.waits = w.waits[1:]
	return wait, nil
}

// left is how many refusals of the budget are to come.
func (w *world) left() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waits)
}

// types are those of what was published.
func (w *world) types() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	types := make([]string, len(w.published))
	for i, p := range w.published {
		types[i] = p.Type
	}
	return types
}

type term struct {
	world    *world
	source   string
	grant    batch.Grant
	done     chan struct{}
	released []bool
	at       time.Time // when it was
}

func (t *term) Grant() batch.Grant    { return t.grant }
func (t *term) Done() <-chan struct{} { return t.done }

func (t *term) Publish(_ context.Context, messages []batch.Outgoing) error {
	t.world.mu.Lock()
	defer t.world.mu.Unlock()
	t.world.tries++
	t.world.largest = max(t.world.largest, len(messages))
	if t.world.failing != nil {
		return t.world.failing
	}
	if t.world.holder[t.source] != t {
		return errors.New("fenced")
	}
	for _, m := range messages {
		p := published{at: time.Now(), heard: m.Heard}
		if err := json.Unmarshal(m.Payload, &p); err != nil {
			return fmt.Errorf("published %s: %w", m.Payload, err)
		}
		t.world.published = append(t.world.published, p)
	}
	return nil
}

func (t *term) Release(_ context.Context, orderly bool) {
	t.world.mu.Lock()
	defer t.world.mu.Unlock()
	t.released, t.at = append(t.released, orderly), time.Now()
	if t.world.holder[t.source] == t {
		delete(t.world.holder, t.source)
	}
}

// lose ends a term as another process would that took the source over.
func (w *world) lose(source string) {
	w.mu.Lock()
	t := w.holder[source]
	delete(w.holder, source)
	w.mu.Unlock()
	close(t.done)
}

// configOf has one source, "feed", that runs as f says.
func configOf(f router.SourceFunc) router.Config {
	return router.Config{
		Service:  "test",
		Channels: []router.Channel{{Name: "prices", Fields: router.Fields{Key: "data.S"}}},
		Sources: []router.SourceSpec{{
			Name: "feed", Channel: "prices", Lease: true, Fields: router.Fields{Type: "T", ID: "i"},
			New: func(router.SourceEnv) (router.Source, error) { return f, nil },
		}},
	}
}

// begin runs a Set until the test calls stop, or ends.
func begin(t *testing.T, w *world, cfg router.Config) (s *Set, stop func()) {
	t.Helper()
	s, err := New(cfg, Options{Acquire: w.acquire, Spend: w.spend, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(stop)
	return s, stop
}

// tick is a message of a feed.
func tick(id int, symbol string) []byte {
	return fmt.Appendf(nil, `{"T":"t","i":%d,"S":%q}`, id, symbol)
}
