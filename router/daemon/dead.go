package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router"
	"signalbox/router/internal/nearest"
)

// DeadOptions say which dead letters are meant: those of a declared channel that have
// all of what is given here.
type DeadOptions struct {
	Channel  string
	IDs      []string // of the letters; none: all
	Services []string // that gave up
	Routes   []string
	Types    []string // patterns as in routes
	Reasons  []string
	Older    time.Duration // given up longer ago; 0: whenever
	Newer    time.Duration // given up since; 0: whenever
}

// deadFilter is DeadOptions, checked.
type deadFilter struct {
	DeadOptions
	types *router.TypeSet // nil: all
	now   time.Time       // by Redis' clock, as the letters' times are
}

func newDeadFilter(what DeadOptions) (*deadFilter, error) {
	f := &deadFilter{DeadOptions: what}
	wrong := func(format string, args ...any) (*deadFilter, error) {
		return nil, &UsageError{fmt.Errorf(format, args...)}
	}
	for _, id := range what.IDs {
		if _, ok := parseEntryID(id); !ok {
			return wrong("%q is no id of a dead letter; they look like 1763933245123-0, and dead ls %s shows them", id, what.Channel)
		}
	}
	var reasons []string
	for _, r := range router.Reasons() {
		reasons = append(reasons, string(r))
	}
	for _, r := range what.Reasons {
		if slices.Contains(reasons, r) {
			continue
		}
		if near, ok := nearest.Name(r, reasons); ok {
			return wrong("--reason %q: did you mean %q?", r, near)
		}
		return wrong("--reason %q: want %s", r, strings.Join(reasons, ", "))
	}
	if len(what.Types) > 0 {
		types, err := router.ParseTypes(what.Types...)
		if err != nil {
			return wrong("--type: %w", err)
		}
		f.types = &types
	}
	switch {
	case what.Older < 0:
		return wrong("--older %s: want a time such as 90s, 10m or 48h", what.Older)
	case what.Newer < 0:
		return wrong("--newer %s: want a time such as 90s, 10m or 48h", what.Newer)
	case what.Newer > 0 && what.Older >= what.Newer:
		return wrong("--older %s --newer %s: nothing is both", what.Older, what.Newer)
	}
	return f, nil
}

// has reports whether a letter is meant, its id apart.
func (f *deadFilter) has(l *letter) bool {
	among := func(wanted []string, name string) bool {
		return len(wanted) == 0 || slices.Contains(wanted, l.fields[name])
	}
	age := f.now.Sub(l.givenUp())
	return among(f.Services, "service") && among(f.Routes, "route") && among(f.Reasons, "reason") &&
		(f.types == nil || f.types.Match(l.typ)) &&
		(f.Older == 0 || age > f.Older) && (f.Newer == 0 || age <= f.Newer)
}

// narrows reports whether not all letters of the channel are meant.
func (f *deadFilter) narrows() bool {
	return len(f.IDs)+len(f.Services)+len(f.Routes)+len(f.Types)+len(f.Reasons) > 0 || f.Older > 0 || f.Newer > 0
}

// desk is where the dead letters of one channel are dealt with.
type desk struct {
	*program
	opts    Options
	channel router.Channel
	streams []router.Channel // that may hold its letters
	places  []place
	filter  *deadFilter
}

// openDesk finds out where the letters of a channel are. Like every command that a
// person waits for, it fails when Redis is away.
func openDesk(ctx context.Context, opts Options, what DeadOptions) (*desk, error) {
	filter, err := newDeadFilter(what)
	if err != nil {
		return nil, err
	}
	opts.Source.Check = true
	p, err := openQuietly(opts)
	if err != nil {
		return nil, err
	}
	d := &desk{program: p, opts: opts, filter: filter}
	if err = d.choose(what.Channel); err == nil {
		err = d.mustFind(ctx)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return d, nil
}

// choose is for the letters of a channel. It asks Redis nothing.
func (d *desk) choose(name string) error {
	var ok bool
	if d.channel, ok = d.program.channel(name); !ok {
		return &UsageError{d.unknownChannel(name)}
	}
	d.streams = d.loaded.Config.DeadLetters(name)
	if len(d.streams) == 0 {
		value := "true"
		if d.channel.Pattern {
			value = `"CHANNEL", a declared stream,`
		}
		return &UsageError{fmt.Errorf("channel %q keeps no dead letters; dead_letter = %s in [channels.%s] makes it", name, value, name)}
	}
	return nil
}

// mustFind is find for a command.
func (d *desk) mustFind(ctx context.Context) error {
	needed := []string{d.channel.Name}
	for _, s := range d.streams {
		needed = append(needed, s.Name)
	}
	if err := lacks(d.opts.Source, d.loaded.Notes, needed); err != nil {
		return err
	}
	if err := d.mustReach(ctx); err != nil {
		return err
	}
	return d.find(ctx)
}

// find finds out how far the letters go.
func (d *desk) find(ctx context.Context) error {
	d.filter.now = d.redis.Now()
	for _, s := range d.streams {
		until, err := lastID(ctx, d.redis.Client(), s.Topic)
		if err != nil {
			return fmt.Errorf("read %q: %w", s.Topic, err)
		}
		d.places = append(d.places, place{stream: s.Topic, until: until})
	}
	return nil
}

// letters are those that are meant, from the oldest on. An id that no letter has is an
// error.
func (d *desk) letters(ctx context.Context) iter.Seq2[letter, error] {
	if len(d.filter.IDs) > 0 {
		return d.byID(ctx)
	}
	sequences := make([]iter.Seq2[letter, error], len(d.places))
	for i, p := range d.places {
		sequences[i] = func(yield func(letter, error) bool) {
			for entry, err := range p.entries(ctx, d.redis.Client()) {
				if err != nil {
					yield(letter{}, err)
					return
				}
				if l, ok := d.own(p, entry); ok && d.filter.has(&l) && !yield(l, nil) {
					return
				}
			}
		}
	}
	return merged(sequences)
}

// own reads an entry of a place that other channels may share.
func (d *desk) own(p place, entry redis.XMessage) (letter, bool) {
	if entry.Values["channel"] != d.channel.Name {
		return letter{}, false
	}
	l := newLetter(p.stream, entry, d.channel)
	return l, l.reason() != ""
}

// byID looks for single letters. Two places may each have one of the same id.
func (d *desk) byID(ctx context.Context) iter.Seq2[letter, error] {
	ids := slices.Compact(slices.Sorted(slices.Values(d.filter.IDs)))
	return func(yield func(letter, error) bool) {
		for _, id := range ids {
			found := false
			for _, p := range d.places {
				entries, err := d.redis.Client().XRange(ctx, p.stream, id, id).Result()
				if err != nil {
					yield(letter{}, fmt.Errorf("read %q: %w", p.stream, err))
					return
				}
				for _, entry := range entries {
					l, ok := d.own(p, entry)
					found = found || ok
					if ok && d.filter.has(&l) && !yield(l, nil) {
						return
					}
				}
			}
			if !found {
				yield(letter{}, &UsageError{fmt.Errorf("channel %q has no dead letter %q; dead ls %s shows them", d.channel.Name, id, d.channel.Name)})
				return
			}
		}
	}
}

// errInterrupted is how a command ends that Ctrl-C ended.
var errInterrupted = errors.New("interrupted")

// because is err, or that the user wanted the end.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// none says that there are no letters to deal with.
func (d *desk) none() string {
	if d.filter.narrows() {
		return fmt.Sprintf("no dead letter of %q matches", d.channel.Name)
	}
	return fmt.Sprintf("there are no dead letters of %q", d.channel.Name)
}
