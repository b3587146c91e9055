package daemon

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"signalbox/router/internal/wording"
)

// changeTimeout bounds what is done with one page of letters. An interrupt waits for it:
// between adding and removing there is no good moment.
const changeTimeout = 30 * time.Second

// DeadChange says what to do with dead letters, and how much to ask before.
type DeadChange struct {
	DeadOptions
	DryRun bool // say what would happen, and do nothing
	Yes    bool // don't ask
	In     io.Reader
}

// confirmed asks whether to go on. Where nobody is there to be asked, that is an error.
func (c DeadChange) confirmed(ctx context.Context, out io.Writer, verb, what string) (bool, error) {
	if c.Yes {
		return true, nil
	}
	if file, ok := c.In.(*os.File); !ok || !term.IsTerminal(int(file.Fd())) { //nolint:gosec // a descriptor fits an int
		return false, &UsageError{fmt.Errorf("nobody is here to be asked whether to %s %s: add --yes, or --dry-run to see what would happen", strings.ToLower(verb), what)}
	}
	fmt.Fprintf(out, "%s %s? [y/N] ", verb, what)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lines, _ := readLines(ctx, c.In)
	select {
	case answer := <-lines:
		answer = strings.ToLower(strings.TrimSpace(answer))
		return answer == "y" || answer == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(out)
		return false, errInterrupted
	}
}

// eachPage hands the letters that are meant, those apart that skip names, to act, some
// at a time, and at most so many as limit says. It returns how many letters act has
// dealt with; it ends with act's first error, and between two pages with ctx.
func (d *desk) eachPage(ctx context.Context, limit int, skip func(*letter) bool, act func(context.Context, []letter) (int, error)) (done int, err error) {
	var page []letter
	taken, size := 0, 0
	flush := func() error {
		if ctx.Err() != nil {
			return errInterrupted
		}
		working, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
		defer cancel()
		n, err := act(working, page)
		done += n
		page, size = page[:0], 0
		return err
	}
	for l, err := range d.letters(ctx) {
		if err != nil {
			return done, because(ctx, err)
		}
		if skip(&l) {
			continue
		}
		if taken == limit {
			break
		}
		taken++
		page = append(page, l)
		if size += len(l.fields["payload"]); len(page) < maxPage && size < pageBytes {
			continue
		}
		if err := flush(); err != nil {
			return done, err
		}
	}
	if len(page) == 0 {
		return done, nil
	}
	return done, flush()
}

// mayRemove finds out, before anything is done, whether letters can be removed: one that
// was replayed and stays would be replayed again.
func (d *desk) mayRemove(ctx context.Context) error {
	for _, p := range d.places {
		if p.until == "0" { // empty, and perhaps not there
			continue
		}
		if err := d.redis.Client().XDel(ctx, p.stream, "0-1").Err(); err != nil {
			return fmt.Errorf("dead letters cannot be removed from %q: %w; deploy/redis.acl has a user that may: signalbox-operator", p.stream, err)
		}
	}
	return nil
}

// remove deletes letters, never their stream: others may have letters in it.
func (d *desk) remove(ctx context.Context, letters []letter) error {
	ids := map[string][]string{}
	for _, l := range letters {
		ids[l.stream] = append(ids[l.stream], l.id)
	}
	for stream, ids := range ids {
		if err := d.redis.Client().XDel(ctx, stream, ids...).Err(); err != nil {
			return fmt.Errorf("remove %s to %s from %q: %w", ids[0], ids[len(ids)-1], stream, err)
		}
	}
	return nil
}

// halfway adds to an error how far the command came.
func halfway(err error, done, of int, verb string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; %d of %s %s, the others are as they were", err, done, wording.Count(of, "dead letter"), verb)
}
