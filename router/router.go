package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/quiet"
)

const (
	defaultDrain = 8 * time.Second
	// cancelGrace is how long handlers may still run once their contexts are cancelled.
	cancelGrace = time.Second
)

// Options are what a Router runs with.
type Options struct {
	// Subscriber returns the subscriber of a channel; the router closes it. For an isolated
	// route it is called again, with the route's group or queue in the channel. Required.
	Subscriber func(Channel) (message.Subscriber, error)
	// Publisher returns the publisher to a channel; whoever makes it closes it.
	// Without it, handlers that publish fail.
	Publisher func(Channel) (message.Publisher, error)
	// Logger; default slog.Default().
	Logger *slog.Logger
	// Middleware sees every raw message before it is decoded, the first one first. A
	// message whose middleware returns an error or panics is rejected. It must derive
	// any context that it sets from the one it finds, and not end its goroutine.
	Middleware []message.HandlerMiddleware
	// Drain is how long Run finishes what is in hand once its context ends, and a reload
	// what only the old configuration has; default 8 s.
	Drain time.Duration
	// Ready, when not nil, waits until what was subscribed to is confirmed. A reload waits
	// for it, a while, before it ends what the new subscriptions replace.
	Ready func(context.Context) error
	// MayIdle lets a router have no routes, and wait for a reload that brings some.
	MayIdle bool
	// Dedupe remembers what routes whose policy says Dedupe have handled. Without it,
	// such a route is an error.
	Dedupe Dedupe
	// Latest keeps the newest events of keys, for handlers of the kind latest, and for
	// Publisher.Latest. Without it, both fail.
	Latest Latest
	// Now is what time it is where ages are told: of events that have no time of their
	// own, and by MaxAge; default time.Now. A clock that all routers share keeps them of
	// one mind.
	Now func() time.Time
	// Sleep is for tests that fake the time: how a worker waits for d, between two attempts
	// or for who has the same event in hand, unless ctx ends or wake is closed first. The
	// pauses of Retry then are not left to chance, and no attempt times out. Nil: the worker
	// sleeps.
	Sleep func(ctx context.Context, wake <-chan struct{}, d time.Duration)
	// Busy, when not nil, is told of every worker that begins (1) and ends (-1). When as
	// many are in Sleep as are busy, and nothing is being published, nothing more happens
	// until a Sleep ends. It is called with locks held, and must be quick.
	Busy func(change int)
	// Measure makes the router tell the time of each handler's call and the age of each
	// event, for Stats.
	Measure bool
	// Onlooker, when not nil, sees some of the outcomes.
	Onlooker *Onlooker
	// Observe, when not nil, is told every outcome. It is called by the goroutines
	// that handle events, must be quick and must not panic.
	Observe func(Outcome)
}

// Router carries each event of its channels to the handlers that its routes name.
// Make one with [New] and run it once.
type Router struct {
	opts       Options
	log        *slog.Logger // through quiet
	quiet      *quiet.Handler
	handlerLog *slog.Logger // not through quiet: a handler's lines may be what it is for
	keeper     *keeper
	publisher  *Publisher
	lanes      workforce // all workers
	started    atomic.Bool
	telling    sync.Mutex
	drained    bool        // nothing new begins; guarded by telling
	gaveUp     atomic.Bool // handlers were left behind at the end of the drain

	running chan struct{}
	over    chan struct{} // closed when Run has returned
	turns   chan struct{} // received from whenever Run's loop turns
	busy    atomic.Bool   // it applies a reload, or drains
	lost    chan *feed    // feeds that ended by themselves
	reloads chan reload
	open    []*feed     // started, or about to be, and not closed; only Run knows
	made    []*instance // not closed, or about to be; only Run knows

	reloading sync.Mutex // one reload at a time
	mu        sync.Mutex // guards which setup it is; after New only Run changes that
	*setup
}

// New makes the handlers that routes use, and the router. It connects to nothing.
func New(cfg Config, opts Options) (*Router, error) {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Drain == 0 {
		opts.Drain = defaultDrain
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	r := &Router{
		handlerLog: opts.Logger, quiet: quiet.New(opts.Logger.Handler()), running: make(chan struct{}),
		over: make(chan struct{}), lost: make(chan *feed), reloads: make(chan reload), turns: make(chan struct{}), setup: &setup{},
	}
	r.log, r.lanes.tell, r.lanes.born = slog.New(r.quiet), opts.Busy, time.Now()
	opts.Logger = r.log
	r.opts = opts
	cfg, err := r.check(cfg)
	if opts.Subscriber == nil {
		err = errors.Join(err, errors.New("Options.Subscriber is missing"))
	}
	if len(cfg.Routes) == 0 && !opts.MayIdle {
		err = errors.Join(err, errors.New("there are no routes, or none is enabled"))
	}
	if err != nil {
		return nil, err
	}
	r.keeper = &keeper{service: cfg.Service, open: opts.Publisher, log: r.log, now: opts.Now, publishers: map[place]message.Publisher{}, tell: r.dead}
	r.publisher = NewPublisher(cfg, opts.Publisher).LatestIn(opts.Latest)
	r.publisher.now = opts.Now
	if r.setup, err = r.build(cfg, r.setup); err != nil {
		return nil, err
	}
	return r, nil
}

// Running is closed when every subscriber has subscribed; never when one could not.
func (r *Router) Running() <-chan struct{} { return r.running }

// Run carries events until ctx ends. Then it stops reading, finishes what is in hand
// within Options.Drain, cancels the contexts of handlers that still run, closes the
// handlers and returns nil. It returns an error when a subscription could not be made
// or all of them ended by themselves. A router runs once: a second Run is an error.
func (r *Router) Run(ctx context.Context) error {
	if !r.started.CompareAndSwap(false, true) {
		return errors.New("this router runs, or has run; make a new one")
	}
	defer close(r.over)
	defer r.quiet.Flush()
	defer func() { r.closeHandlers(r.made) }() // those that there are then
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r.open, r.made = slices.Clone(r.feeds), slices.Clone(r.handlers)
	if err := r.begin(ctx, work, cancel); err != nil || ctx.Err() != nil {
		r.closeFeeds()
		return err
	}
	r.watch(&setup{}, r.setup)
	close(r.running)
	for {
		select {
		case <-ctx.Done():
			r.drain(cancel)
			return nil
		case f := <-r.lost:
			if has(f.closing) {
				continue
			}
			f.lost.Store(true)
			r.log.Error("the subscription ended by itself; nothing more is read", "channel", f.channel.Name)
			if slices.ContainsFunc(r.feeds, func(f *feed) bool { return !f.lost.Load() }) {
				continue
			}
			r.drain(cancel)
			return errors.New("all subscriptions ended")
		case <-r.turns:
		case next := <-r.reloads:
			r.busy.Store(true)
			next.applied <- r.apply(ctx, work, next.setup)
			r.busy.Store(false)
		}
	}
}

// Turning is an error when Run is stuck, or nothing reads a channel any more that it
// should read, so that only another process will. It waits for Run until ctx ends; while
// Run applies a reload or drains, for which there are other limits, that is no error.
func (r *Router) Turning(ctx context.Context) error {
	now := r.current()
	for i, f := range now.feeds {
		if f.lost.Load() {
			return fmt.Errorf("the subscription to channel %q ended by itself", now.subscriptions[i].channel.Name)
		}
	}
	select {
	case r.turns <- struct{}{}:
		return nil
	case <-r.over:
		return errors.New("the router has stopped")
	case <-ctx.Done():
		if r.busy.Load() {
			return nil
		}
		return fmt.Errorf("the router's loop does not turn: %w", ctx.Err())
	}
}

// begin makes the first subscriptions. It subscribes before Watermill's routers run,
// because one whose Subscribe fails can't be closed and leaves goroutines.
func (r *Router) begin(ctx, work context.Context, cancel func()) error {
	keep := context.AfterFunc(ctx, cancel)
	for _, f := range r.feeds {
		if err := f.subscribe(work, r.log); err != nil && ctx.Err() == nil {
			return err
		}
	}
	if !keep() || ctx.Err() != nil {
		return nil // stopped before it began
	}
	for i, f := range r.feeds {
		f.start(r.subscriptions[i], r.log, r.lost)
	}
	return nil
}

// drain closes the subscriptions and waits for them and the lanes; at the limit it
// cancels the handlers.
func (r *Router) drain(cancel context.CancelFunc) {
	r.busy.Store(true)
	r.watch(r.setup, &setup{})
	for _, f := range r.open {
		if f.stop != nil {
			f.stop() // before the limit can end anything: Watermill would take that for an error
		}
	}
	limit := time.AfterFunc(r.opts.Drain, cancel)
	defer limit.Stop()
	idle := make(chan struct{})
	go func() {
		r.closeFeeds()
		r.telling.Lock()
		r.drained = true
		r.telling.Unlock()
		r.lanes.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-time.After(r.opts.Drain + cancelGrace):
		r.gaveUp.Store(true)
		r.log.Warn("handlers still run at the end of the drain; they are left behind, and none is closed", "drain", r.opts.Drain)
		r.made = nil
	}
}

// closeFeeds closes all at once: each may first work off what it has queued.
func (r *Router) closeFeeds() {
	var closing sync.WaitGroup
	for _, f := range r.open {
		closing.Go(func() { f.close(r.log) })
	}
	closing.Wait()
}

// closeHandlers closes all at once: one whose target is away may take a while, and must not
// use up the time that the others have, such as to write what they hold to the disk.
func (r *Router) closeHandlers(handlers []*instance) {
	var closing sync.WaitGroup
	for _, h := range handlers {
		closing.Go(func() { h.close(r.closingFailed) })
	}
	closing.Wait()
}

// current is the setup that runs.
func (r *Router) current() *setup {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.setup
}

// Stats returns the counters so far.
func (r *Router) Stats() Stats {
	now := r.current()
	stats := Stats{Channels: make(map[string]ChannelStats, len(now.channels))}
	for name, counters := range now.channels {
		of := counters.stats(r.opts.Measure)
		if life := now.lives[name]; life != nil {
			life.stats(&of)
		}
		stats.Channels[name] = of
	}
	for _, route := range slices.Concat(now.routes, now.past) {
		of := RouteStats{
			Channel: route.Channel, Route: route.Name, Handler: route.Handler,
			Handled: route.handled.Load(), Failed: route.failed.Load(), Retried: route.retried.Load(), Skipped: route.skipped.Load(),
			Filtered: route.filtered.Load(), Abandoned: route.abandoned.Load(), Dead: route.kept.Load(),
			Withdrawn: route.withdrawn.Load(), Duplicates: route.duplicates.Load(), Unmarked: route.unmarked.Load(),
			Unfinished: route.unfinished.Load(),
		}
		if r.opts.Measure {
			of.Took = route.took.snapshot()
		}
		if r.gaveUp.Load() { // what was left behind will tell too late, or never
			of.Unfinished = route.lanes.pushed() + route.refused.Load() - of.Handled - of.Failed - of.Skipped - of.Duplicates - of.Withdrawn
		}
		stats.Routes = append(stats.Routes, of)
	}
	for _, s := range now.subscriptions {
		if of, knows := s.feed.subscriber.(Backlogger); knows {
			queued, inHand := of.Backlog()
			stats.Subscriptions = append(stats.Subscriptions, SubscriptionStats{s.channel.Name, s.isolated, queued, inHand})
		}
	}
	return stats
}
