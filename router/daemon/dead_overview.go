package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"signalbox/router"
)

// deadTally is how many dead letters a channel has, as `dead ls -o json` prints it.
type deadTally struct {
	Channel string                `json:"channel"`
	Streams []string              `json:"streams"`
	Letters int                   `json:"letters"`
	Oldest  *time.Time            `json:"oldest,omitempty"`
	Newest  *time.Time            `json:"newest,omitempty"`
	Reasons map[router.Reason]int `json:"reasons"`
}

func (t *deadTally) add(l *letter) {
	t.Letters++
	t.Reasons[l.reason()]++
	at := l.givenUp()
	if t.Oldest == nil || at.Before(*t.Oldest) {
		t.Oldest = &at
	}
	if t.Newest == nil || at.After(*t.Newest) {
		t.Newest = &at
	}
}

// reasons are the counts by reason, in the order of router.Reasons.
func (t *deadTally) reasons() string {
	var words []string
	for _, r := range router.Reasons() {
		if n := t.Reasons[r]; n > 0 {
			words = append(words, fmt.Sprintf("%s %d", r, n))
		}
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ", ")
}

// overviewDead prints a line for each channel that can have dead letters.
func overviewDead(ctx context.Context, opts Options, what DeadListOptions) error {
	if what.N > 0 {
		return &UsageError{fmt.Errorf("-n %d: name the channel whose dead letters to list", what.N)}
	}
	filter, err := newDeadFilter(what.DeadOptions)
	if err != nil {
		return err
	}
	opts.Source.Check = true
	p, err := openQuietly(opts)
	if err != nil {
		return err
	}
	defer p.close()
	if err := lacks(opts.Source, p.loaded.Notes, p.declared()); err != nil {
		return err
	}
	if err := p.mustReach(ctx); err != nil {
		return err
	}
	filter.now = p.redis.Now()
	tallies, unread := p.tallies(ctx, filter)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if len(tallies) == 0 && opts.Verbosity >= 0 {
		fmt.Fprintln(opts.Stderr, "no channel keeps dead letters; dead_letter = true in its table makes one")
	}
	return errors.Join(printTallies(opts.Stdout, tallies, what.JSON, filter.now), unread)
}

// tallies counts the letters of each channel. Streams that channels share are read once.
// What cannot be read hides nothing of the others.
func (p *program) tallies(ctx context.Context, filter *deadFilter) ([]*deadTally, error) {
	var tallies []*deadTally
	var streams []string
	var unread []error
	sharing := map[string]map[string]*deadTally{} // by stream, by channel
	for _, ch := range p.loaded.Config.Channels {
		places := p.loaded.Config.DeadLetters(ch.Name)
		if len(places) == 0 {
			continue
		}
		tally := &deadTally{Channel: ch.Name, Reasons: map[router.Reason]int{}}
		for _, place := range places {
			if sharing[place.Topic] == nil {
				sharing[place.Topic] = map[string]*deadTally{}
				streams = append(streams, place.Topic)
			}
			sharing[place.Topic][ch.Name] = tally
			tally.Streams = append(tally.Streams, place.Topic)
		}
		tallies = append(tallies, tally)
	}
	for _, stream := range streams {
		for entry, err := range (place{stream: stream, until: "+"}).entries(ctx, p.redis.Client()) {
			if err != nil {
				unread = append(unread, err)
				break
			}
			name, _ := entry.Values["channel"].(string)
			tally := sharing[stream][name]
			if tally == nil {
				continue
			}
			ch, _ := p.channel(name)
			if l := newLetter(stream, entry, ch); l.reason() != "" && filter.has(&l) {
				tally.add(&l)
			}
		}
	}
	return tallies, errors.Join(unread...)
}

func printTallies(out io.Writer, tallies []*deadTally, asJSON bool, now time.Time) error {
	if asJSON {
		for _, t := range tallies {
			if _, err := fmt.Fprintln(out, toJSON(t)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(tallies) == 0 {
		return nil
	}
	table := newTable(out)
	fmt.Fprintln(table, "channel\tletters\toldest\tnewest\treasons")
	for _, t := range tallies {
		oldest, newest := "-", "-"
		if t.Letters > 0 {
			oldest, newest = shownAge(*t.Oldest, now), shownAge(*t.Newest, now)
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\n", printable(t.Channel), t.Letters, oldest, newest, t.reasons())
	}
	return table.Flush()
}
