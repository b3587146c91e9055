package daemon

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"signalbox/router"
	"signalbox/router/internal/wording"
)

// maxReplays is how often a letter is replayed before somebody has to insist: what came
// back so often will come back again.
const maxReplays = 3

// ReplayOptions say which dead letters to replay, and for whom.
type ReplayOptions struct {
	DeadChange
	Again     bool // also those that were replayed often
	AllRoutes bool // not only the route that gave up
}

// ReplayDead sends dead letters to their channel again. On a stream only the route that
// gave up runs, in the group that it belongs to; Pub/Sub cannot address one. A letter is
// removed once it was sent.
func ReplayDead(ctx context.Context, opts Options, what ReplayOptions) error {
	d, err := openDesk(ctx, opts, what.DeadOptions)
	if err != nil {
		return err
	}
	defer d.close()
	r := &replay{desk: d, what: what}
	if err := r.prepare(ctx); err != nil {
		return because(ctx, err)
	}
	letters := fmt.Sprintf("%s of %s", wording.Count(r.total, "dead letter"), d.channel.Name)
	switch {
	case r.total == 0 && r.looped+r.homeless == 0:
		_, err := fmt.Fprintln(opts.Stdout, d.none())
		return err
	case r.total == 0:
		return r.remarks(opts.Stdout)
	case what.DryRun:
		fmt.Fprintf(opts.Stdout, "would replay %s\n", letters)
		if err := r.targets(opts.Stdout); err != nil {
			return err
		}
		return r.remarks(opts.Stdout)
	}
	if err := r.mayRemove(ctx); err != nil {
		return err
	}
	if !what.Yes {
		if err := r.targets(opts.Stderr); err != nil {
			return err
		}
	}
	if err := r.remarks(opts.Stderr); err != nil {
		return err
	}
	if ok, err := what.confirmed(ctx, opts.Stderr, "Replay", letters); err != nil || !ok {
		return err
	}
	return r.run(ctx)
}

// replay is one run of the command.
type replay struct {
	*desk
	what ReplayOptions

	total    int            // letters to replay
	to       map[target]int // how many of them to whom
	looped   int            // left: replayed too often
	homeless int            // left: from no group
	warnings []string

	deaf     map[string]int // Redis names where nobody listened, and how many letters stay
	min, max int64          // subscribers that got a letter
}

// target is whom a letter is for. On Pub/Sub it is everybody at a Redis name.
type target struct{ group, route, name string }

func (r *replay) target(l *letter) target {
	if r.channel.Transport != router.Stream {
		return target{name: cmp.Or(l.fields["name"], r.channel.Topic)}
	}
	t := target{group: l.fields["group"]}
	if !r.what.AllRoutes {
		t.route = l.fields["route"]
	}
	return t
}

func (t target) String() string {
	switch {
	case t.name != "":
		return fmt.Sprintf("all subscribers of %q", t.name)
	case t.route == "":
		return fmt.Sprintf("all routes of group %q", t.group)
	default:
		return fmt.Sprintf("route %q of group %q", t.route, t.group)
	}
}

// loops and lost say which letters are left: those that came back too often, and those
// that came by Pub/Sub when the channel was that, which no group would handle.
func (r *replay) loops(l *letter) bool { return !r.what.Again && l.number("replays") >= maxReplays }

func (r *replay) lost(l *letter) bool {
	return r.channel.Transport == router.Stream && l.fields["group"] == ""
}

func (r *replay) skip(l *letter) bool { return r.lost(l) || r.loops(l) }

// prepare finds out what will happen, and what speaks against it.
func (r *replay) prepare(ctx context.Context) error {
	onStream := r.channel.Transport == router.Stream
	if !onStream && !r.what.AllRoutes {
		return &UsageError{fmt.Errorf("channel %q is pubsub: a replay goes to all who subscribe, and there to all routes, also those that were through with it; --all-routes says that this is right", r.channel.Name)}
	}
	if err := r.plan(ctx); err != nil || !onStream {
		return err
	}
	return r.lookAtGroups(ctx)
}

// plan counts what will happen.
func (r *replay) plan(ctx context.Context) error {
	r.to = map[target]int{}
	for l, err := range r.letters(ctx) {
		switch {
		case err != nil:
			return err
		case r.lost(&l):
			r.homeless++
		case r.loops(&l):
			r.looped++
		default:
			r.to[r.target(&l)]++
			r.total++
		}
	}
	return nil
}

// lookAtGroups warns of letters that nobody would run, and lowers the total to what the
// stream has room for: it must not be trimmed before its groups have read it.
func (r *replay) lookAtGroups(ctx context.Context) error {
	groups, err := r.redis.Client().XInfoGroups(ctx, r.channel.Topic).Result()
	if err != nil && !strings.HasPrefix(err.Error(), "ERR no such key") {
		return fmt.Errorf("look up the groups of %q: %w", r.channel.Topic, err)
	}
	wanted, waiting := map[string]bool{}, map[string]int64{}
	for t := range r.to {
		wanted[t.group] = true
	}
	for _, g := range groups {
		waiting[g.Name] = max(0, g.Lag) + g.Pending
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if _, ok := waiting[name]; !ok {
			r.warn("no group %q reads %q: nobody would run its letters until a router of that group has started", name, r.channel.Topic)
		}
	}
	for t := range r.to {
		switch group := r.groupOf(t.route); {
		case t.route == "" || group == t.group:
		case t.group == r.channel.Group && group == "":
			r.warn("channel %q has no route %q: its letters would come back as unmatched; --all-routes replays them to whichever route takes them now", r.channel.Name, t.route)
		case t.group == r.channel.Group:
			r.warn("route %q reads as group %q now: its letters of group %q would come back as unmatched; dead show and publish --raw send them", t.route, group, t.group)
		case t.group == r.channel.Group+"."+t.route: // the group stays in Redis
			r.warn("route %q is not isolated any more: nobody would run its letters of group %q; dead show and publish --raw send them", t.route, t.group)
		}
	}
	slices.Sort(r.warnings)
	slowest, most := "", int64(0)
	for name, n := range waiting {
		if n > most && (wanted[name] || n < r.channel.MaxLen) { // else it loses events anyway
			slowest, most = name, n
		}
	}
	if room := int(max(0, r.channel.MaxLen-most)); r.channel.MaxLen > 0 && room < r.total {
		if room == 0 {
			return fmt.Errorf("group %q has yet to handle %d entries of %q, which is trimmed to about %d: replays would push them out; let it catch up, or raise max_len", slowest, most, r.channel.Topic, r.channel.MaxLen)
		}
		r.warn("only %d of %d now: %q is trimmed to about %d entries (max_len); run it again when those are handled", room, r.total, r.channel.Topic, r.channel.MaxLen)
		r.total = room
	}
	return nil
}

func (r *replay) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// groupOf is the group in which a route of the channel reads; empty: there is no such route.
func (r *replay) groupOf(name string) string {
	for _, route := range r.loaded.Config.Routes {
		if route.Channel == r.channel.Name && cmp.Or(route.Name, route.Handler) == name {
			if route.Isolated {
				return r.channel.Group + "." + name
			}
			return r.channel.Group
		}
	}
	return ""
}

// targets says how many letters go to whom.
func (r *replay) targets(out io.Writer) error {
	var lines []string
	for t, n := range r.to {
		lines = append(lines, fmt.Sprintf("%8d to %s\n", n, printable(t.String())))
	}
	slices.Sort(lines)
	_, err := io.WriteString(out, strings.Join(lines, ""))
	return err
}

// remarks says which letters are left, and what to look out for.
func (r *replay) remarks(out io.Writer) error {
	for _, line := range slices.Concat(r.warnings, r.left()) {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

// left says which letters are left.
func (r *replay) left() (lines []string) {
	if r.looped > 0 {
		lines = append(lines, fmt.Sprintf("left: %s came back from %d replays or more; --again replays them too", wording.Count(r.looped, "dead letter"), maxReplays))
	}
	if r.homeless > 0 {
		lines = append(lines, fmt.Sprintf("left: %s came by Pub/Sub, and %q is a stream now; dead show and publish --raw send them", wording.Count(r.homeless, "dead letter"), r.channel.Name))
	}
	return lines
}
