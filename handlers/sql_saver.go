package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"signalbox/router"
)

// saver is a handler of kind sql.
type saver struct {
	db       database
	log      *slog.Logger
	sorted   bool // statements take their events in the order of the ids
	prepared atomic.Bool
	turn     chan struct{} // held by who prepares
	stop     context.CancelFunc
	starting sync.WaitGroup
}

func newSaver(env router.Env, options SQLOptions) (*saver, error) {
	// With a key of their own, columns say which of two events is the first; then it has to
	// remain the first.
	s := &saver{log: env.Log, sorted: len(options.Columns) == 0, turn: make(chan struct{}, 1)}
	var err error
	if isPostgres(options.DSN) {
		s.db, err = openPostgres(env, options)
	} else {
		s.db, err = openSQLite(options)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.starting.Go(func() { s.start(ctx) })
	return s, nil
}

// start looks at the table before the first event comes, so that what is wrong is said
// when somebody looks.
func (s *saver) start(ctx context.Context) {
	if err := s.ready(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("the database cannot be used yet; events wait until it can", "err", err)
	}
}

// ready returns nil when the table is known. Until then each call looks, one at a time.
func (s *saver) ready(ctx context.Context) error {
	if s.prepared.Load() {
		return nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return verdict(ctx, away, errors.New("waiting for a look at the table"))
	}
	if s.prepared.Load() {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, statementTime)
	defer cancel()
	warnings, err := s.db.prepare(limited)
	if err != nil {
		_, err = s.db.fault(ctx, err, nil)
		return verdict(ctx, away, err)
	}
	for _, warning := range warnings {
		s.log.Warn("events that come again will be saved again", "cause", warning)
	}
	s.log.Info("the database is ready")
	s.prepared.Store(true)
	return nil
}

// Handle saves one event.
func (s *saver) Handle(ctx context.Context, event *router.Event) error {
	if verdicts := s.HandleBatch(ctx, []*router.Event{event}); verdicts != nil {
		return verdicts[0]
	}
	return nil
}

// HandleBatch saves events.
func (s *saver) HandleBatch(ctx context.Context, events []*router.Event) []error {
	failed := failures{}
	if err := s.ready(ctx); err != nil {
		failed.add(events, err)
	} else {
		_ = s.save(ctx, s.inOrder(events), failed)
	}
	return failed.verdicts(events)
}

// inOrder is the order of events in a statement. Sorted, two statements that hold the same
// events never wait for each other in a circle: each replica saves all of a Pub/Sub channel.
func (s *saver) inOrder(events []*router.Event) []*router.Event {
	if !s.sorted || len(events) == 1 {
		return events
	}
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b *router.Event) int { return strings.Compare(a.ID, b.ID) })
	return events
}

// save saves events with as few statements as it can, and notes those that failed. It
// returns why it stopped before the end; then the rest has failed for the same reason.
func (s *saver) save(ctx context.Context, events []*router.Event, failed failures) error {
	if len(events) > 1 && bytesOf(events) > statementBytes {
		return s.halve(ctx, events, failed)
	}
	limited, cancel := context.WithTimeout(ctx, statementTime)
	err := s.db.insert(limited, events)
	cancel()
	if err == nil {
		return nil
	}
	whose, err := s.db.fault(ctx, err, events)
	if whose == changed {
		s.prepared.Store(false)
	}
	atRow := whose == refused || whose == unclear
	if atRow && len(events) > 1 && ctx.Err() == nil {
		return s.halve(ctx, events, failed)
	}
	err = verdict(ctx, whose, err)
	failed.add(events, err)
	if atRow && ctx.Err() == nil {
		return nil
	}
	return err
}

func (s *saver) halve(ctx context.Context, events []*router.Event, failed failures) error {
	middle := len(events) / 2
	if err := s.save(ctx, events[:middle], failed); err != nil {
		failed.add(events[middle:], err)
		return err
	}
	return s.save(ctx, events[middle:], failed)
}

func bytesOf(events []*router.Event) (n int) {
	for _, event := range events {
		n += len(event.Msg)
	}
	return n
}

// verdict is what an error means for an event.
func verdict(ctx context.Context, whose fault, err error) error {
	switch {
	case shutdown(ctx) != nil:
		return fmt.Errorf("sql: interrupted: %w", ctx.Err())
	case ctx.Err() != nil, whose == away, whose == changed:
		return router.Unavailable(err, 0)
	case whose == refused:
		return router.Permanent(err)
	default:
		return err
	}
}

// failures are the verdicts on events that were not saved.
type failures map[*router.Event]error

func (f failures) add(events []*router.Event, err error) {
	for _, event := range events {
		f[event] = err
	}
}

// verdicts is one for each event, or nil when all are saved.
func (f failures) verdicts(events []*router.Event) []error {
	if len(f) == 0 {
		return nil
	}
	verdicts := make([]error, len(events))
	for i, event := range events {
		verdicts[i] = f[event]
	}
	return verdicts
}

// Close ends the connections. Events whose statements it may cut off were left already.
func (s *saver) Close() error {
	s.stop()
	s.starting.Wait()
	s.db.close()
	return nil
}
