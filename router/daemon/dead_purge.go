package daemon

import (
	"context"
	"fmt"

	"signalbox/router/internal/wording"
)

// PurgeDead removes dead letters for good.
func PurgeDead(ctx context.Context, opts Options, what DeadChange) error {
	d, err := openDesk(ctx, opts, what.DeadOptions)
	if err != nil {
		return err
	}
	defer d.close()
	n := 0
	for _, err := range d.letters(ctx) {
		if err != nil {
			return because(ctx, err)
		}
		n++
	}
	letters := fmt.Sprintf("%s of %s", wording.Count(n, "dead letter"), d.channel.Name)
	switch {
	case n == 0:
		_, err := fmt.Fprintln(opts.Stdout, d.none())
		return err
	case what.DryRun:
		_, err := fmt.Fprintf(opts.Stdout, "would purge %s\n", letters)
		return err
	}
	if err := d.mayRemove(ctx); err != nil {
		return err
	}
	if ok, err := what.confirmed(ctx, opts.Stderr, "Purge", letters); err != nil || !ok {
		return err
	}
	none := func(*letter) bool { return false }
	done, err := d.eachPage(ctx, n, none, func(ctx context.Context, page []letter) (int, error) {
		if err := d.remove(ctx, page); err != nil {
			return 0, err
		}
		return len(page), nil
	})
	if err != nil {
		return halfway(err, done, n, "purged")
	}
	_, err = fmt.Fprintf(opts.Stdout, "%s of %s purged\n", wording.Count(done, "dead letter"), d.channel.Name)
	return err
}
