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

// tailer is who tails. What is nil was not asked for.
type tailer struct {
	*program
	opts  Options // the program's own are quieter
	asked TailOptions
	types *router.TypeSet
	since *since
	where *where
}

// newTailer checks what can be checked without a configuration.
func newTailer(opts Options, asked TailOptions) (t *tailer, err error) {
	t = &tailer{opts: opts, asked: asked}
	switch {
	case asked.N < 0:
		return nil, &UsageError{fmt.Errorf("-n %d: want a number of messages, or 0 for all", asked.N)}
	case asked.For < 0:
		return nil, &UsageError{fmt.Errorf("--for %s: want a time such as 10s, or 0s for no end", asked.For)}
	}
	if asked.Since != "" {
		if t.since, err = parseSince(asked.Since); err != nil {
			return nil, err
		}
	}
	if len(asked.Types) > 0 {
		types, err := router.ParseTypes(asked.Types...)
		if err != nil {
			return nil, &UsageError{fmt.Errorf("--type: %w", err)}
		}
		t.types = &types
	}
	return t, nil
}

// Tail prints what travels on channels until ctx ends. It reads as an onlooker, by
// SUBSCRIBE, XREAD and XRANGE, and takes nothing from any consumer. It ends with an error
// when Redis goes away: what travels meanwhile would be missing without a word.
func Tail(ctx context.Context, opts Options, what TailOptions) error {
	t, err := newTailer(opts, what)
	if err != nil {
		return err
	}
	if t.program, err = openToWatch(opts, what.Channels); err != nil {
		return err
	}
	defer t.close()
	if err := t.configure(); err != nil {
		return err
	}
	if err := t.mustReach(ctx); err != nil {
		return err
	}
	channels, err := t.watched(ctx, what.Channels)
	if err != nil {
		return err
	}
	if t.since != nil {
		if err := keepsAny(channels); err != nil {
			return err
		}
	}
	err = t.look(ctx, channels)
	if t.where != nil && opts.Verbosity >= 0 {
		t.where.summary(opts.Stderr)
	}
	return err
}

// configure takes from the configuration what is needed: it must say where the channels
// are and, for a condition that asks, the name of the service.
func (t *tailer) configure() (err error) {
	names := t.asked.Channels
	if len(names) == 0 {
		names = t.declared()
	}
	var more []string
	if strings.Contains(t.asked.Where, "service") {
		more = append(more, "service.name")
	}
	if err := lacks(t.opts.Source, t.loaded.Notes, names, more...); err != nil || t.asked.Where == "" {
		return err
	}
	if t.where, err = newWhere(t.asked.Where, t.loaded.Config.Service); err != nil {
		return err
	}
	if t.opts.Verbosity >= 0 && !t.asked.Stats { // the table has it
		t.where.notes = t.opts.Stderr
	}
	return nil
}

// look shows what is asked for until ctx ends.
func (t *tailer) look(ctx context.Context, channels []router.Channel) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if t.asked.For > 0 {
		// No deadline: the network would notice it first, and take it for a failure.
		defer time.AfterFunc(t.asked.For, stop).Stop()
	}
	now := t.redis.Now()
	v := t.newView(channels, now, stop)
	w := &watch{redis: t.redis.Client(), show: v.show}
	defer w.close()
	if err := w.begin(ctx, channels); err != nil {
		return ended(ctx, err)
	}
	if t.since != nil {
		if err := t.since.notFuture(now, w.last); err != nil {
			return err
		}
		w.from, _ = t.since.begin(now)
	}
	t.announce(ctx, w, channels, now)
	if !t.asked.Stats {
		return ended(ctx, w.run(ctx))
	}
	v.rates = newRates(t.redis.Now, w.from != "")
	w.replayed = v.rates.live
	meter := newMeter(t.opts.Stdout, t.asked.JSON, v.rates, t.where, stop)
	return ended(ctx, meter.during(ctx, w.run))
}

// announce says what is watched, once it is.
func (t *tailer) announce(ctx context.Context, w *watch, channels []router.Channel, now time.Time) {
	if t.opts.Verbosity < 0 {
		return
	}
	fmt.Fprintln(t.opts.Stderr, t.watching(channels, now))
	if t.since == nil {
		return
	}
	for _, note := range w.gaps(ctx, channels) {
		fmt.Fprintln(t.opts.Stderr, note)
	}
}

// ended is err, unless it only says that ctx ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (t *tailer) watching(channels []router.Channel, now time.Time) string {
	names := make([]string, len(channels))
	hint := ""
	for i, ch := range channels {
		how := redisName(ch)
		if _, ok := t.channel(ch.Name); !ok && len(t.loaded.Files) > 0 {
			how += ", not declared"
			if near, ok := nearest.Name(ch.Name, t.declared()); ok {
				hint = fmt.Sprintf("did you mean %q? ", near)
			}
		}
		names[i] = fmt.Sprintf("%s (%s)", printable(ch.Name), how)
	}
	begin := "from now on"
	if t.since != nil {
		begin = "since " + t.since.moment(now)
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
