package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"signalbox/router"
	"signalbox/router/internal/quiet"
)

// Set runs the sources of a configuration.
type Set struct {
	opts  Options
	quiet *quiet.Handler

	changing sync.Mutex // held by Reload: it may take as long as sources take to end
	leaving  []*runner  // of Reload: that were stopped, and have not ended yet

	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // of Run; nil: not running
	running []*runner
}

// New checks the sources of cfg. They begin with [Set.Run].
func New(cfg router.Config, opts Options) (*Set, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	s := &Set{quiet: quiet.New(opts.Logger.Handler())}
	opts.Logger = slog.New(s.quiet)
	s.opts = opts
	s.running, _, err = s.compile(cfg)
	return s, err
}

// compile makes runners of the sources of cfg: those that stay, and new ones.
func (s *Set) compile(cfg router.Config) (all, fresh []*runner, err error) {
	var errs []error
	for _, spec := range cfg.Sources {
		r, err := s.runnerOf(cfg, spec)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		i := slices.IndexFunc(s.running, func(old *runner) bool { return old.same(r) })
		if i >= 0 {
			all = append(all, s.running[i])
			continue
		}
		all, fresh = append(all, r), append(fresh, r)
	}
	return all, fresh, errors.Join(errs...)
}

func (s *Set) runnerOf(cfg router.Config, spec router.SourceSpec) (*runner, error) {
	if spec.Name == "" || spec.New == nil {
		return nil, fmt.Errorf("source %q: the name or New is missing", spec.Name)
	}
	composer, err := router.NewComposer(cfg, spec)
	if err != nil {
		return nil, err
	}
	spec = completed(spec)
	return &runner{
		spec: spec, service: cfg.Service, composer: composer, opts: s.opts, board: newBoard(spec),
		log: s.opts.Logger.With("source", spec.Name, "channel", spec.Channel), ended: make(chan struct{}),
	}, nil
}

// Run runs the sources until ctx ends, and then waits until each has closed its session and
// given back what it holds.
func (s *Set) Run(ctx context.Context) {
	defer s.quiet.Flush()
	s.mu.Lock()
	s.ctx = ctx
	for _, r := range s.running {
		r.start(ctx)
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.ctx = nil
	last := s.running
	s.mu.Unlock()
	stop(last, errStops, s.opts.Drain)
}

// Reload runs the sources of cfg in place of those that run: what is as it was goes on, what
// is gone or changed has ended when Reload returns.
func (s *Set) Reload(cfg router.Config) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	all, fresh, err := s.compile(cfg)
	if err != nil {
		return err
	}
	var gone []*runner
	for _, old := range s.running { // nobody else changes it
		if !slices.Contains(all, old) {
			gone = append(gone, old)
		}
	}
	if s.runs() {
		stop(gone, errChange, stopFor) // meanwhile Stats are those of who ends
		s.leaving = slices.DeleteFunc(append(s.leaving, gone...), func(r *runner) bool { return isClosed(r.ended) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = all
	for _, r := range fresh {
		for _, old := range gone {
			if old.spec.Name == r.spec.Name {
				r.board.goOn(old.board.read())
			}
		}
		for _, old := range s.leaving { // also from an earlier reload
			if old.spec.Name == r.spec.Name {
				r.after = old.ended
			}
		}
		if s.ctx != nil {
			r.start(s.ctx)
		}
	}
	return nil
}

func (s *Set) runs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ctx != nil
}

// stopFor is how long runners may take to stop, all together. A source that does not end its
// session keeps its lease until that runs out.
const stopFor = 10 * time.Second

// stop ends runners, all at a time, and waits for them for so long at most.
func stop(runners []*runner, why error, most time.Duration) {
	for _, r := range runners {
		r.cancel(why)
	}
	limit := time.NewTimer(most)
	defer limit.Stop()
	for _, r := range runners {
		select {
		case <-r.ended:
		case <-limit.C:
			return
		}
	}
}

// Stats are those of the sources, in the order of the configuration.
func (s *Set) Stats() []Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := make([]Stats, len(s.running))
	for i, r := range s.running {
		stats[i] = r.board.read()
	}
	return stats
}

// runner runs one source: it stands by, holds it, and stands by again.
type runner struct {
	spec     router.SourceSpec
	service  string
	composer *router.Composer
	opts     Options
	log      *slog.Logger
	board    *board

	after  <-chan struct{} // closed when it may begin; nil: at once
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

// same reports whether a runner can go on as another.
func (r *runner) same(as *runner) bool {
	if r.board.read().State == GivenUp { // perhaps what it needs is there now
		return false
	}
	return r.spec.Revision != "" && r.spec.Name == as.spec.Name && r.spec.Revision == as.spec.Revision && r.composer.Same(as.composer)
}

// start runs the source in a goroutine of its own, until cancel is called.
func (r *runner) start(ctx context.Context) {
	ctx, r.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	go func() {
		defer close(r.ended)
		defer r.cancel(errEnded)
		r.run(ctx)
	}()
}

func (r *runner) run(ctx context.Context) {
	if r.after != nil {
		<-r.after // one of the same name has a session open
	}
	var heard time.Time
	for ctx.Err() == nil {
		r.board.turn(StandingBy, "", 0)
		if r.spec.Lease {
			r.log.Info("standing by until no other router holds the source")
		}
		term, err := r.opts.Acquire(ctx, r.spec, r.composer.Channel())
		if err != nil {
			if ctx.Err() == nil { // it is not to be: no Redis, for example
				r.log.Error("the source cannot be held", "err", err)
				r.board.turn(GivenUp, err.Error(), 0)
			}
			break
		}
		h := &holder{
			spec: r.spec, service: r.service, composer: r.composer, opts: r.opts, log: r.log, board: r.board,
			term: term, epoch: term.Grant().Epoch, began: time.Now(), earlier: heard,
			numbers: newSequence(r.spec.Sequence), stamps: newStamps(r.log), others: map[string]bool{}, pace: &pace{spec: r.spec},
		}
		if h.hold(ctx) {
			break
		}
		if h.heard.After(heard) {
			heard = h.heard
		}
	}
	<-ctx.Done() // a source that is given up stays so
}
