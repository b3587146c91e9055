package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"signalbox/router/internal/order"
	"signalbox/router/ops"
)

// maxLooked is how many entries of a stream are looked at for the dead letters of one
// channel among those of others.
const maxLooked = 2_000

// commandOptions is how an error of a command is made true of a click.
const commandOptions = ` (an option of "router dead replay")`

// deskFor is openDesk for the program that runs.
func (p *program) deskFor(opts Options, what DeadOptions) (*desk, error) {
	filter, err := newDeadFilter(what)
	if err != nil {
		return nil, err
	}
	d := &desk{program: p.snapshot(), opts: opts, filter: filter}
	return d, d.choose(what.Channel)
}

// opsDead is [ops.Program.Dead].
func (p *program) opsDead(ctx context.Context, channel string, n int) ([]ops.Letter, int, error) {
	d, err := p.deskFor(Options{}, DeadOptions{Channel: channel})
	if err != nil {
		return nil, 0, asked(err)
	}
	letters, total, err := d.newest(ctx, n)
	return letters, total, asked(err)
}

// newest are the newest letters, the newest first, and about how many there are: what
// others have in the same stream is only told apart as far as it is looked at.
func (d *desk) newest(ctx context.Context, n int) (letters []ops.Letter, total int, err error) {
	for _, s := range d.streams {
		length, err := d.redis.Client().XLen(ctx, s.Topic).Result()
		if err != nil {
			return nil, 0, fmt.Errorf("read %q: %w", s.Topic, err)
		}
		some, foreign, err := d.newestOf(ctx, place{stream: s.Topic}, n)
		if err != nil {
			return nil, 0, err
		}
		letters = append(letters, some...)
		total += max(len(some), int(length)-foreign)
	}
	order.Stable(letters, func(a, b *ops.Letter) int { return compareIDs(b.ID, a.ID) })
	return letters[:min(n, len(letters))], total, nil
}

// newestOf are those of one stream, and how many entries on the way are no letters of the
// channel. Few entries are in memory, however large they are.
func (d *desk) newestOf(ctx context.Context, p place, n int) (letters []ops.Letter, foreign int, err error) {
	for from := "+"; len(letters) < n && len(letters)+foreign < maxLooked; {
		page, err := d.redis.Client().XRevRangeN(ctx, p.stream, from, "-", firstPage).Result()
		if err != nil {
			return nil, 0, fmt.Errorf("read %q: %w", p.stream, err)
		}
		for _, entry := range page {
			if l, ok := d.own(p, entry); !ok {
				foreign++
			} else if len(letters) < n {
				letters = append(letters, newOpsLetter(&l))
			}
		}
		if len(page) < firstPage {
			break
		}
		from = "(" + page[len(page)-1].ID
	}
	return letters, foreign, nil
}

func compareIDs(a, b string) int {
	x, _ := parseEntryID(a)
	y, _ := parseEntryID(b)
	switch {
	case x.before(y):
		return -1
	case y.before(x):
		return 1
	}
	return 0
}

func newOpsLetter(l *letter) ops.Letter {
	message, cut := ops.ShownMessage(l.fields["payload"])
	return ops.Letter{
		ID: l.id, Stream: l.stream, Type: l.typ, Event: l.event, Route: l.fields["route"], Handler: l.fields["handler"],
		Reason: l.fields["reason"], Error: l.fields["error"], Attempts: l.number("attempts"), Replays: l.number("replays"),
		At: l.givenUp(), Message: message, Cut: cut,
	}
}

// opsReplay is [ops.Program.Replay]. What the command asks about is refused here, and left
// to the command.
func (p *program) opsReplay(ctx context.Context, channel string, ids []string) (string, error) {
	if len(ids) == 0 { // to the desk that is all
		return "", &ops.RequestError{Err: errors.New("name the dead letters to replay by their ids")}
	}
	var said strings.Builder
	d, err := p.deskFor(Options{Stdout: &said}, DeadOptions{Channel: channel, IDs: ids})
	if err == nil {
		err = d.find(ctx)
	}
	if err != nil {
		return "", asked(err)
	}
	r := &replay{desk: d}
	if err := r.replayable(ctx); err != nil {
		return "", asked(err)
	}
	if err := d.mayRemove(ctx); err != nil {
		return "", asked(fmt.Errorf("%w, and may replay by \"router dead replay\"", err))
	}
	if err := r.run(ctx); err != nil {
		return "", asked(err)
	}
	p.log.Info("dead letters replayed from the page", "channel", channel, "letters", r.total)
	lines := slices.Concat([]string{strings.TrimSpace(said.String())}, r.left())
	if len(lines) > 1 {
		lines[len(lines)-1] += commandOptions
	}
	return strings.Join(lines, "; "), nil
}

// replayable plans, and refuses what a person would have to insist on.
func (r *replay) replayable(ctx context.Context) error {
	err := r.prepare(ctx)
	if _, usage := errors.AsType[*UsageError](err); usage && strings.Contains(err.Error(), "--") {
		return &UsageError{fmt.Errorf("%w%s", err, commandOptions)}
	}
	switch {
	case err != nil:
		return because(ctx, err)
	case len(r.warnings) > 0:
		return &UsageError{fmt.Errorf(`%s; "router dead replay %s" asks, and does it all the same`, strings.Join(r.warnings, "; "), r.channel.Name)}
	case r.total == 0:
		return &UsageError{errors.New(strings.Join(r.left(), "; ") + commandOptions)}
	}
	return nil
}
