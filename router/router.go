package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
)

const (
	defaultDrain = 8 * time.Second
	// cancelGrace is how long handlers may still run once their contexts are cancelled.
	cancelGrace = time.Second
)

// Options are what a Router runs with.
type Options struct {
	// Subscriber returns the subscriber of a channel; the router closes it. Required.
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
	// Drain is how long Run finishes what is in hand once its context ends; default 8 s.
	Drain time.Duration
	// Dedupe remembers what routes whose policy says Dedupe have handled. Without it,
	// such a route is an error.
	Dedupe Dedupe
	// Observe, when not nil, is told every outcome. It is called by the goroutines
	// that handle events, must be quick and must not panic.
	Observe func(Outcome)
}

// Router carries each event of its channels to the handlers that its routes name.
// Make one with [New] and run it once.
type Router struct {
	opts          Options
	log           *slog.Logger // through quiet
	quiet         *quiet
	handlerLog    *slog.Logger // not through quiet: a handler's lines may be what it is for
	subscriptions []*subscription
	routes        []*route // in the order of the configuration
	handlers      []namedHandler
	keeper        *keeper
	lanes         sync.WaitGroup
	running       chan struct{}
	started       atomic.Bool
	telling       sync.Mutex
	drained       bool        // nothing new begins; guarded by telling
	gaveUp        atomic.Bool // handlers were left behind at the end of the drain
}

type namedHandler struct {
	name string
	Handler
}

// New makes the handlers that routes use, and the router. It connects to nothing.
func New(cfg Config, opts Options) (_ *Router, err error) {
	cfg, err = normalize(cfg)
	if opts.Subscriber == nil {
		err = errors.Join(err, errors.New("Options.Subscriber is missing"))
	}
	err = errors.Join(err, checkDedupe(cfg, opts.Dedupe))
	if opts.Publisher == nil && keepsDeadLetters(cfg) {
		err = errors.Join(err, errors.New("dead letters are to be kept, and Options.Publisher is missing"))
	}
	if err != nil {
		return nil, err
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Drain == 0 {
		opts.Drain = defaultDrain
	}
	r := &Router{handlerLog: opts.Logger, quiet: newQuiet(opts.Logger.Handler()), running: make(chan struct{})}
	r.log = slog.New(r.quiet)
	opts.Logger = r.log
	r.opts = opts
	r.keeper = &keeper{service: cfg.Service, open: opts.Publisher, log: r.log, publishers: map[string]message.Publisher{}, tell: r.dead}
	defer func() {
		if err != nil {
			r.closeSubscribers()
			r.closeHandlers()
		}
	}()
	if err := r.makeHandlers(cfg); err != nil {
		return nil, err
	}
	if err := r.makeSubscriptions(cfg); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Router) makeHandlers(cfg Config) error {
	publisher := NewPublisher(cfg, r.opts.Publisher)
	for _, spec := range cfg.Handlers {
		used := func(route Route) bool { return route.Handler == spec.Name }
		if !slices.ContainsFunc(cfg.Routes, used) {
			continue
		}
		env := Env{Service: cfg.Service, Handler: spec.Name, Log: r.handlerLog.With("handler", spec.Name), Publisher: publisher}
		handler, err := spec.New(env)
		if err != nil {
			return fmt.Errorf("handler %q: %w", spec.Name, err)
		}
		if handler == nil {
			return fmt.Errorf("handler %q: New returned neither a handler nor an error", spec.Name)
		}
		r.handlers = append(r.handlers, namedHandler{spec.Name, handler})
	}
	return nil
}

func (r *Router) makeSubscriptions(cfg Config) error {
	byChannel := map[string][]compiled{}
	for _, route := range cfg.Routes {
		types, err := ParseTypes(route.Types...)
		if err != nil {
			return fmt.Errorf("route %q: %w", route.Name, err)
		}
		i := slices.IndexFunc(r.handlers, func(h namedHandler) bool { return h.name == route.Handler })
		at := slices.IndexFunc(cfg.Channels, func(ch Channel) bool { return ch.Name == route.Channel })
		running := newRoute(route, &cfg.Channels[at], r.handlers[i].Handler, r.opts, r.keeper, &r.lanes)
		running.gate = newGate(running, cfg.Service, r.opts.Dedupe)
		running.dead = r.deadLetters(cfg, &cfg.Channels[at], route.Policy.DeadLetter)
		r.routes = append(r.routes, running)
		byChannel[route.Channel] = append(byChannel[route.Channel], compiled{running, types})
	}
	for _, ch := range cfg.Channels {
		if len(byChannel[ch.Name]) == 0 {
			continue
		}
		subscriber, err := r.opts.Subscriber(ch)
		if err != nil {
			return fmt.Errorf("channel %q: %w", ch.Name, err)
		}
		s := newSubscription(ch, subscriber, byChannel[ch.Name], r.opts)
		s.keeper, s.service = r.keeper, cfg.Service
		s.dead = r.deadLetters(cfg, &ch, DeadLetter{})
		r.subscriptions = append(r.subscriptions, s)
	}
	return nil
}

// deadLetters is where what is given up on a channel is kept; nil: nowhere. Without a
// publisher there is no place to keep it; New has made sure that none was asked for.
func (r *Router) deadLetters(cfg Config, ch *Channel, set DeadLetter) *Channel {
	if r.opts.Publisher == nil {
		return nil
	}
	to, _ := deadLetters(cfg.Channels, ch, set) // checked by normalize
	return to
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
	defer r.quiet.flush()
	defer r.closeHandlers()
	// Watermill cancels its handlers' contexts as soon as it stops, which is too early:
	// ours end when the drain does.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	carrier, err := r.subscribe(ctx, work, cancel)
	if err != nil || carrier == nil {
		r.closeSubscribers()
		return err
	}
	carry, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- carrier.Run(carry) }()
	<-carrier.Running()
	close(r.running)
	select {
	case <-ctx.Done():
		stop() // so that Watermill doesn't take the end of the subscriptions for an error
		r.drain(ended, cancel)
		return nil
	case err := <-ended: // by themselves
		ended <- err
		r.drain(ended, cancel)
		return errors.Join(errors.New("all subscriptions ended"), err)
	}
}

// subscribe makes the subscriptions and the Watermill router that reads them: one
// handler per subscription, however many routes. Without an error and a router, ctx has
// ended meanwhile. It subscribes by itself, because a Watermill router whose Subscribe
// fails can't be closed and leaves a goroutine for each subscription that succeeded.
func (r *Router) subscribe(ctx, work context.Context, cancel func()) (*message.Router, error) {
	// What Watermill says below a warning is about its own inside.
	levels := map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug - 4, slog.LevelDebug: slog.LevelDebug - 4}
	logger := watermill.NewSlogLoggerWithLevelMapping(r.log, levels)
	carrier, err := message.NewRouter(message.RouterConfig{CloseTimeout: r.opts.Drain + 2*cancelGrace}, logger)
	if err != nil {
		return nil, fmt.Errorf("make the Watermill router: %w", err)
	}
	keep := context.AfterFunc(ctx, cancel)
	for _, s := range r.subscriptions {
		s.work.Store(&work)
		r.log.Debug("subscribing", "channel", s.channel.Name, "topic", s.channel.Topic)
		messages, err := s.subscriber.Subscribe(work, s.channel.Topic)
		if err != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("subscribe to channel %q (%s): %w", s.channel.Name, s.channel.Topic, err)
		}
		carrier.AddConsumerHandler(s.channel.Name, s.channel.Topic, subscribed{s.subscriber, messages}, func(msg *message.Message) error {
			return s.handle(work, msg)
		})
	}
	if !keep() || ctx.Err() != nil {
		return nil, nil //nolint:nilnil // stopped before it began
	}
	return carrier, nil
}

// subscribed is a subscriber that has subscribed already.
type subscribed struct {
	message.Subscriber
	messages <-chan *message.Message
}

func (s subscribed) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return s.messages, nil
}

// drain closes the subscriptions and waits for them and the lanes; at the limit it
// cancels the handlers.
func (r *Router) drain(ended <-chan error, cancel context.CancelFunc) {
	limit := time.AfterFunc(r.opts.Drain, cancel)
	defer limit.Stop()
	idle := make(chan struct{})
	go func() {
		r.closeSubscribers()
		if err := <-ended; err != nil {
			r.log.Error("stopping the subscriptions failed", "err", err)
		}
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
		r.handlers = nil
	}
}

// closeSubscribers closes all at once: each may first work off what it has queued.
func (r *Router) closeSubscribers() {
	var closing sync.WaitGroup
	for _, s := range r.subscriptions {
		closing.Go(func() {
			if err := s.subscriber.Close(); err != nil {
				r.log.Error("closing the subscriber failed", "channel", s.channel.Name, "err", err)
			}
		})
	}
	closing.Wait()
}

func (r *Router) closeHandlers() {
	for _, h := range r.handlers {
		if closer, ok := h.Handler.(io.Closer); ok {
			if err := closer.Close(); err != nil {
				r.log.Error("closing the handler failed", "handler", h.name, "err", err)
			}
		}
	}
	r.handlers = nil
}

// Stats returns the counters so far.
func (r *Router) Stats() Stats {
	stats := Stats{Channels: make(map[string]ChannelStats, len(r.subscriptions))}
	for _, s := range r.subscriptions {
		stats.Channels[s.channel.Name] = s.stats()
	}
	for _, route := range r.routes {
		of := RouteStats{
			Channel: route.Channel, Route: route.Name, Handler: route.Handler,
			Handled: route.handled.Load(), Failed: route.failed.Load(), Retried: route.retried.Load(), Skipped: route.skipped.Load(),
			Filtered: route.filtered.Load(), Abandoned: route.abandoned.Load(), Dead: route.kept.Load(),
			Withdrawn: route.withdrawn.Load(), Duplicates: route.duplicates.Load(), Unmarked: route.unmarked.Load(),
			Unfinished: route.unfinished.Load(),
		}
		if r.gaveUp.Load() { // what was left behind will tell too late, or never
			of.Unfinished = route.lanes.pushed() + route.refused.Load() - of.Handled - of.Failed - of.Skipped - of.Duplicates - of.Withdrawn
		}
		stats.Routes = append(stats.Routes, of)
	}
	return stats
}
