package daemon

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"signalbox/router"
	"signalbox/router/internal/nearest"
	"signalbox/router/routesfile"
)

// TailOptions say what to show.
type TailOptions struct {
	Channels []string // declared channels or Redis names; none: every declared channel
	Types    []string // patterns as in routes; none: all
	Where    string   // a condition as in routes; empty: all
	Since    string   // a time back, a time or the id of an entry; empty: from now on
	Stats    bool     // rates by channel and type, and no events
	N        int      // stop after so many; 0: never
	For      time.Duration
	JSON     bool
}

// onlooker is who tails. What is nil was not asked for.
type onlooker struct {
	*program
	opts  Options // the program's own are quieter
	asked TailOptions
	types *router.TypeSet
	since *since
	where *where
}

// newOnlooker checks what can be checked without a configuration.
func newOnlooker(opts Options, asked TailOptions) (o *onlooker, err error) {
	o = &onlooker{opts: opts, asked: asked}
	switch {
	case asked.N < 0:
		return nil, &UsageError{fmt.Errorf("-n %d: want a number of messages, or 0 for all", asked.N)}
	case asked.For < 0:
		return nil, &UsageError{fmt.Errorf("--for %s: want a time such as 10s, or 0s for no end", asked.For)}
	}
	if asked.Since != "" {
		if o.since, err = parseSince(asked.Since); err != nil {
			return nil, err
		}
	}
	if len(asked.Types) > 0 {
		types, err := router.ParseTypes(asked.Types...)
		if err != nil {
			return nil, &UsageError{fmt.Errorf("--type: %w", err)}
		}
		o.types = &types
	}
	return o, nil
}

// Tail prints what travels on channels until ctx ends. It reads as an onlooker, by
// SUBSCRIBE, XREAD and XRANGE, and takes nothing from any consumer. It ends with an error
// when Redis goes away: what travels meanwhile would be missing without a word.
func Tail(ctx context.Context, opts Options, what TailOptions) error {
	o, err := newOnlooker(opts, what)
	if err != nil {
		return err
	}
	if o.program, err = openToWatch(opts, what.Channels); err != nil {
		return err
	}
	defer o.close()
	if err := o.configure(); err != nil {
		return err
	}
	if err := o.mustReach(ctx); err != nil {
		return err
	}
	channels, err := o.watched(ctx, what.Channels)
	if err != nil {
		return err
	}
	if o.since != nil {
		if err := keepsAny(channels); err != nil {
			return err
		}
	}
	err = o.look(ctx, channels)
	if o.where != nil && opts.Verbosity >= 0 {
		o.where.summary(opts.Stderr)
	}
	return err
}

// configure takes from the configuration what is needed: it must say where the channels
// are and, for a condition that asks, the name of the service.
func (o *onlooker) configure() (err error) {
	names := o.asked.Channels
	if len(names) == 0 {
		names = o.declared()
	}
	var more []string
	if strings.Contains(o.asked.Where, "service") {
		more = append(more, "service.name")
	}
	if err := lacks(o.opts.Source, o.loaded.Notes, names, more...); err != nil || o.asked.Where == "" {
		return err
	}
	if o.where, err = newWhere(o.asked.Where, o.loaded.Config.Service); err != nil {
		return err
	}
	if o.opts.Verbosity >= 0 && !o.asked.Stats { // the table has it
		o.where.notes = o.opts.Stderr
	}
	return nil
}

// look shows what is asked for until ctx ends.
func (o *onlooker) look(ctx context.Context, channels []router.Channel) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if o.asked.For > 0 {
		// No deadline: the network would notice it first, and take it for a failure.
		defer time.AfterFunc(o.asked.For, stop).Stop()
	}
	now := o.redis.Now()
	v := o.newView(channels, now, stop)
	w := &watch{redis: o.redis.Client(), show: v.show}
	defer w.close()
	if err := w.begin(ctx, channels); err != nil {
		return ended(ctx, err)
	}
	if o.since != nil {
		if err := o.since.notFuture(now, w.last); err != nil {
			return err
		}
		w.from, _ = o.since.begin(now)
	}
	o.announce(ctx, w, channels, now)
	if !o.asked.Stats {
		return ended(ctx, w.run(ctx))
	}
	v.rates = newRates(o.redis.Now, w.from != "")
	w.replayed = v.rates.live
	meter := newMeter(o.opts.Stdout, o.asked.JSON, v.rates, o.where, stop)
	return ended(ctx, meter.during(ctx, w.run))
}

// announce says what is watched, once it is.
func (o *onlooker) announce(ctx context.Context, w *watch, channels []router.Channel, now time.Time) {
	if o.opts.Verbosity < 0 {
		return
	}
	fmt.Fprintln(o.opts.Stderr, o.watching(channels, now))
	if o.since == nil {
		return
	}
	for _, note := range w.gaps(ctx, channels) {
		fmt.Fprintln(o.opts.Stderr, note)
	}
}

// ended is err, unless it only says that ctx ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (o *onlooker) watching(channels []router.Channel, now time.Time) string {
	names := make([]string, len(channels))
	hint := ""
	for i, ch := range channels {
		how := redisName(ch)
		if _, ok := o.channel(ch.Name); !ok && len(o.loaded.Files) > 0 {
			how += ", not declared"
			if near, ok := nearest.Name(ch.Name, o.declared()); ok {
				hint = fmt.Sprintf("did you mean %q? ", near)
			}
		}
		names[i] = fmt.Sprintf("%s (%s)", printable(ch.Name), how)
	}
	begin := "from now on"
	if o.since != nil {
		begin = "since " + o.since.moment(now)
	}
	return fmt.Sprintf("watching %s %s; %sCtrl-C ends it", strings.Join(names, ", "), begin, hint)
}

// openToWatch loads the configuration; Redis names can be watched without any.
func openToWatch(opts Options, names []string) (*program, error) {
	opts.Source.Check = true
	if len(names) > 0 && !opts.Source.Found() {
		return openWithout(opts)
	}
	return openQuietly(opts)
}

// openWithout opens Redis without a configuration: where a flag or a variable says.
func openWithout(opts Options) (*program, error) {
	url := cmp.Or(opts.Source.Set["redis.url"], variable(opts.Source.Environ, "SIGNALBOX_REDIS__URL"),
		variable(opts.Source.Environ, "REDIS_URL"), "redis://127.0.0.1:6379/0")
	service := cmp.Or(variable(opts.Source.Environ, "SIGNALBOX_SERVICE__NAME"), "router")
	loaded := &routesfile.Result{Config: router.Config{Service: service}}
	loaded.Settings.Redis.URL = url
	quiet := routesfile.Log{Level: "warn"}
	p := &program{loaded: loaded, log: newLogger(opts.Stderr, quiet, levelOf(quiet, opts.Verbosity))}
	var err error
	p.redis, err = openRedis(loaded, p.losses.add, p.log)
	return p, err
}

// watched finds the channels of these names. A name that is not declared is a Redis
// name: a pattern, or else a stream if there is one, or else a Pub/Sub channel.
func (p *program) watched(ctx context.Context, names []string) ([]router.Channel, error) {
	if len(names) == 0 {
		return p.loaded.Config.Channels, nil
	}
	var channels []router.Channel
	for _, name := range names {
		if ch, ok := p.channel(name); ok {
			channels = append(channels, ch)
			continue
		}
		ch := router.Channel{Name: name, Topic: name, Transport: router.PubSub, Pattern: strings.ContainsAny(name, "*?[")}
		if ch.Pattern {
			channels = append(channels, ch)
			continue
		}
		kind, err := p.redis.Client().Type(ctx, name).Result()
		switch {
		case err != nil:
			return nil, fmt.Errorf("look up %q in Redis: %w", name, err)
		case kind == "stream":
			ch.Transport = router.Stream
		case kind != "none":
			return nil, &UsageError{fmt.Errorf("%q is a %s in Redis, not a stream or a Pub/Sub channel", name, kind)}
		}
		channels = append(channels, ch)
	}
	return channels, nil
}
