package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router"
	"signalbox/router/routesfile"
	"signalbox/router/source"
	"signalbox/router/transport"
)

// maxBatch is how many messages cross Watermill's Router as one under load.
const maxBatch = 256

// Options are what every command starts with.
type Options struct {
	Source  routesfile.Source
	Kinds   *router.Registry
	Version string
	Stdout  io.Writer
	Stderr  io.Writer // logs
	// Verbosity lowers the log level when positive (debug) and raises it when negative (warn).
	Verbosity int
	// Embedded starts a Redis in the process, for development, and uses that: on loopback
	// only, for any client, and gone with the process.
	Embedded bool
	// Observe is told every outcome; may be nil.
	Observe func(router.Outcome)
	// Reload is received from whenever the configuration is to be read again; may be nil.
	Reload <-chan struct{}
	// Watch reads it again whenever the content of its files has changed.
	Watch bool

	told      bool   // the notes on the configuration, by who calls
	mountinfo string // stands for /proc/self/mountinfo in tests, which may not mount
}

// Run carries events until ctx ends, then drains and returns nil.
func Run(ctx context.Context, opts Options) error {
	if opts.Embedded {
		embedded, err := startEmbedded()
		if err != nil {
			return err
		}
		defer embedded.Close()
		opts.Source.Set = withRedis(opts.Source.Set, embedded.URL())
		fmt.Fprintf(opts.Stdout, "embedded Redis for development%s, nothing is kept; in other terminals:\n  export REDIS_URL=%s\n", embedded.elsewhere(), embedded.URL())
	}
	p, err := open(opts)
	if err != nil {
		return err
	}
	return p.run(ctx, opts.Observe)
}

func withRedis(set map[string]string, url string) map[string]string {
	set = maps.Clone(set)
	if set == nil {
		set = map[string]string{}
	}
	set["redis.url"] = url
	return set
}

// program is a loaded configuration and the Redis it names.
type program struct {
	sources *source.Set
	opts    Options
	level   slog.LevelVar
	digest  string                        // of the files that were read last
	loaded  *routesfile.Result            // changed by reloads
	config  atomic.Pointer[router.Config] // loaded's, for any goroutine
	gone    []router.Channel              // of earlier configurations
	redis   *transport.Redis
	log     *slog.Logger
	losses  losses
	side    side
	router  atomic.Pointer[router.Router] // once it is made
	onStop  func(router.Stats)            // prints a summary instead of the log; may be nil
	page    net.Listener                  // where HTTP is served, if it is bound already; else nil

	schemas []string // schema files among those that were read last
}

// open loads the configuration and prepares Redis; it connects to nothing.
func open(opts Options) (*program, error) {
	loaded, err := routesfile.Load(opts.Source, opts.Kinds)
	if err != nil {
		return nil, err
	}
	p := &program{opts: opts, digest: loaded.Digest, schemas: loaded.Schemas, loaded: loaded}
	p.level.Set(levelOf(loaded.Settings.Log, opts.Verbosity))
	p.log = newLogger(opts.Stderr, loaded.Settings.Log, &p.level)
	if !opts.Source.Check && !opts.told { // else they are about values that this command doesn't need
		p.tellNotes(loaded)
	}
	p.log.Info("starting", "service", loaded.Config.Service, "redis", redacted(loaded.Settings.Redis.URL),
		"config", strings.Join(loaded.Files, " "), "version", opts.Version)
	p.redis, err = openRedis(loaded, p.lost, p.log)
	return p, err
}

// lost counts what a transport knows to be lost, and lets routes know of a gap.
func (p *program) lost(loss transport.Loss) {
	p.losses.add(loss)
	if r := p.router.Load(); r != nil && loss.Reason == transport.LossGap {
		r.Blind(loss.Topic, loss.Blind)
	}
}

func openRedis(loaded *routesfile.Result, onLoss func(transport.Loss), log *slog.Logger) (*transport.Redis, error) {
	r := loaded.Settings.Redis
	opened, err := transport.Open(transport.Config{
		URL: r.URL, Username: r.Username, Password: r.Password, CAFile: r.CAFile,
		Service: loaded.Config.Service, OnLoss: onLoss,
	}, log)
	if err != nil {
		return nil, fmt.Errorf("[redis]: %w", err)
	}
	return opened, nil
}

func (p *program) run(ctx context.Context, observe func(router.Outcome)) error {
	defer standardLog(p.log)()
	begin := time.Now()
	defer func() {
		if err := p.redis.Close(); err != nil {
			p.log.Error("closing the connections to Redis failed", "err", err)
		}
	}()
	if err := p.notRefused(ctx); err != nil {
		return err
	}
	if len(p.loaded.Config.Routes)+len(p.loaded.Config.Sources) == 0 { // switched off on purpose: that is no reason to crash and be restarted
		p.log.Warn("no route is enabled, and no source; nothing to do")
	}
	server, err := p.newSide(begin)
	if err != nil {
		return err
	}
	options := router.Options{
		Subscriber: p.subscriber, Publisher: p.publisher, Ready: p.redis.Ready, MayIdle: true,
		Dedupe: p.redis.Dedupe(), Latest: p.redis.Latest(), Now: p.redis.Now, Logger: p.log, Drain: p.loaded.Settings.Drain, Observe: observe,
	}
	if server != nil {
		options.Measure, options.Onlooker = true, &p.side.onlooker
	}
	r, err := router.New(p.loaded.Config, options)
	if err != nil {
		return err
	}
	if p.sources, err = p.newSources(); err != nil {
		return err
	}
	p.config.Store(&p.loaded.Config)
	p.router.Store(r)
	endServing := p.serve(ctx, server)
	defer endServing()
	memory := newHeap()
	defer memory.end()
	beside, stop := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	loaded := p.loaded
	helpers.Go(func() { p.announce(beside, r, loaded) })
	helpers.Go(func() { p.reloads(beside, r) })
	held, giveBack := context.WithCancel(ctx) // not beside: what is held is given back while the router drains
	helpers.Go(func() { p.runSources(held, r) })
	err = r.Run(ctx)
	stop()
	giveBack()
	helpers.Wait()
	if p.onStop != nil {
		p.onStop(r.Stats())
	} else {
		p.summarize(r.Stats(), p.sources.Stats(), time.Since(begin))
	}
	return err
}

// announce logs what is wired, once every subscription is confirmed.
func (p *program) announce(ctx context.Context, r *router.Router, loaded *routesfile.Result) {
	if len(loaded.Config.Routes) == 0 {
		return
	}
	select {
	case <-r.Running():
	case <-ctx.Done():
		return
	}
	if err := p.redis.Ready(ctx); err != nil {
		return
	}
	p.warnOfLoss(ctx, loaded.Config)
	for _, line := range wiring(loaded.Config) {
		attrs := []any{"channel", line.channel.Name, "transport", string(line.channel.Transport), "routes", line.String()}
		if line.isolated != "" {
			attrs = append(attrs, "isolated", line.isolated)
		}
		p.log.Info("listening", attrs...)
	}
	p.log.Info("ready", "channels", len(r.Stats().Channels), "routes", len(loaded.Config.Routes))
	debug.FreeOSMemory() // what was only needed to begin
}

func (p *program) subscriber(ch router.Channel) (message.Subscriber, error) {
	limits := limitsOf(ch)
	switch ch.Transport {
	case router.PubSub:
		var kept func(context.Context, string) ([]router.Kept, error)
		if ch.Start == router.StartLatest {
			latest := p.redis.Latest()
			kept = func(ctx context.Context, topic string) ([]router.Kept, error) { return latest.Kept(ctx, topic) }
		}
		return limited{p.redis.PubSub(transport.PubSubConfig{
			Kept: kept, Pattern: ch.Pattern, MaxBatch: maxBatch, InFlight: limits.InFlight,
			Queue: limits.Queue, QueueBytes: limits.QueueBytes, Key: limits.Key, Drain: p.loaded.Settings.Drain,
		})}, nil
	case router.Stream:
		return limited{p.redis.Stream(transport.StreamConfig{
			Group: ch.Group, Like: ch.Like, StartNew: ch.Start == router.StartNew, MaxBatch: maxBatch,
			InFlight: limits.InFlight, ClaimAfter: limits.ClaimAfter,
			Routes: p.digestOf(ch),
		})}, nil
	default:
		return nil, fmt.Errorf("transport %q cannot be run by this program", ch.Transport)
	}
}

// limited is a router.Limiter: a reload changes its limits.
type limited struct{ *transport.Subscriber }

func (l limited) Limit(to router.Channel) { l.Subscriber.Limit(limitsOf(to)) }

func limitsOf(ch router.Channel) transport.Limits {
	limits := transport.Limits{InFlight: ch.InFlight, Queue: ch.Queue, QueueBytes: ch.QueueBytes, ClaimAfter: ch.ClaimAfter}
	if ch.Overflow == router.NewestPerKey {
		limits.Key = router.KeyOf(ch)
	}
	return limits
}

// digestOf tells what is done with what a subscriber brings, by the configuration of
// the moment. One goroutine may call it.
func (p *program) digestOf(ch router.Channel) func() string {
	var of *router.Config
	var word string
	return func() string {
		if now := p.config.Load(); now != of {
			of, word = now, now.Digest(ch)
		}
		return word
	}
}

func (p *program) publisher(ch router.Channel) (message.Publisher, error) {
	if ch.Transport == router.Stream {
		return p.redis.StreamPublisher(ch.MaxLen), nil
	}
	return p.redis.PubSubPublisher(), nil
}

// declared are the names of the declared channels.
func (p *program) declared() []string {
	names := make([]string, len(p.loaded.Config.Channels))
	for i, ch := range p.loaded.Config.Channels {
		names[i] = ch.Name
	}
	return names
}

// channel finds a declared channel, or one that an earlier configuration declared.
func (p *program) channel(name string) (router.Channel, bool) {
	known := slices.Concat(p.loaded.Config.Channels, p.gone)
	i := slices.IndexFunc(known, func(ch router.Channel) bool { return ch.Name == name })
	if i < 0 {
		return router.Channel{}, false
	}
	return known[i], true
}

// openQuietly opens for a command that a person waits for: only warnings are logged.
func openQuietly(opts Options) (*program, error) {
	if opts.Verbosity == 0 {
		opts.Verbosity = -1
	}
	return open(opts)
}

// close closes Redis; what a short command leaves behind is not worth an error.
func (p *program) close() { _ = p.redis.Close() }
