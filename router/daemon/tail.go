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
	N        int      // stop after so many; 0: never
	For      time.Duration
	JSON     bool
}

// check says what is wrong with the options, and reads the types.
func (o TailOptions) check() (*router.TypeSet, error) {
	switch {
	case o.N < 0:
		return nil, &UsageError{fmt.Errorf("-n %d: want a number of messages, or 0 for all", o.N)}
	case o.For < 0:
		return nil, &UsageError{fmt.Errorf("--for %s: want a time such as 10s, or 0s for no end", o.For)}
	case len(o.Types) == 0:
		return nil, nil
	}
	types, err := router.ParseTypes(o.Types...)
	if err != nil {
		return nil, &UsageError{fmt.Errorf("--type: %w", err)}
	}
	return &types, nil
}

// Tail prints what travels on channels until ctx ends. It reads as an onlooker, by
// SUBSCRIBE and XREAD, and takes nothing from any consumer. It ends with an error
// when Redis goes away: what travels meanwhile would be missing without a word.
func Tail(ctx context.Context, opts Options, what TailOptions) error {
	types, err := what.check()
	if err != nil {
		return err
	}
	p, err := openToWatch(opts, what.Channels)
	if err != nil {
		return err
	}
	defer p.close()
	names := what.Channels
	if len(names) == 0 {
		names = p.declared()
	}
	if err := lacks(opts.Source, p.loaded.Notes, names); err != nil {
		return err
	}
	if err := p.mustReach(ctx); err != nil {
		return err
	}
	channels, err := p.watched(ctx, what.Channels)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if what.For > 0 {
		// No deadline: the network would notice it first, and take it for a failure.
		defer time.AfterFunc(what.For, stop).Stop()
	}
	w := &watch{redis: p.redis.Client(), show: newView(opts.Stdout, channels, types, what, stop).show}
	defer w.close()
	if err := w.begin(ctx, channels); err != nil {
		return ended(ctx, err)
	}
	if opts.Verbosity >= 0 {
		fmt.Fprintln(opts.Stderr, p.watching(channels))
	}
	return ended(ctx, w.follow(ctx))
}

// ended is err, unless it only says that ctx ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// watching says what is watched, once it is.
func (p *program) watching(channels []router.Channel) string {
	names := make([]string, len(channels))
	hint := ""
	for i, ch := range channels {
		how := redisName(ch)
		if _, ok := p.channel(ch.Name); !ok && len(p.loaded.Files) > 0 {
			how += ", not declared"
			if near, ok := nearest.Name(ch.Name, p.declared()); ok {
				hint = fmt.Sprintf("did you mean %q? ", near)
			}
		}
		names[i] = fmt.Sprintf("%s (%s)", printable(ch.Name), how)
	}
	return fmt.Sprintf("watching %s from now on; %sCtrl-C ends it", strings.Join(names, ", "), hint)
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
	loaded := &routesfile.Result{Config: router.Config{Service: "router"}}
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
