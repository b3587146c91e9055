package daemon

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/pretty"

	"signalbox/router"
	"signalbox/router/internal/nearest"
)

// LatestOptions say what to show.
type LatestOptions struct {
	Channel string   // declared channel, or its name in Redis
	Keys    []string // none: all
	JSON    bool
}

// Latest prints the kept events of a channel: a line for each key, the oldest first. A key
// that has none is an error.
func Latest(ctx context.Context, opts Options, what LatestOptions) error {
	p, err := openToWatch(opts, []string{what.Channel})
	if err != nil {
		return err
	}
	defer p.close()
	if err := lacks(opts.Source, p.loaded.Notes, []string{what.Channel}); err != nil {
		return err
	}
	if err := p.mustReach(ctx); err != nil {
		return err
	}
	ch, declared := p.channel(what.Channel)
	switch {
	case !declared:
		ch = router.Channel{Name: what.Channel, Topic: what.Channel}
	case ch.Pattern:
		return &UsageError{fmt.Errorf("channel %q is the pattern %q; name one of its channels in Redis", ch.Name, ch.Topic)}
	}
	kept, err := p.redis.Latest().Kept(ctx, ch.Topic, what.Keys...)
	if err != nil {
		return err
	}
	showKept(opts, what, ch, kept)
	return p.allKept(ctx, what, ch, kept)
}

func showKept(opts Options, what LatestOptions, ch router.Channel, kept []router.Kept) {
	width := 0
	for _, k := range kept {
		width = max(width, utf8.RuneCountInString(printable(k.Key)))
	}
	v := view{json: what.JSON}
	for _, k := range kept {
		m := router.Message{Payload: k.Payload, Name: k.Topic, ID: k.ID, Time: k.Time}
		whole := ch
		whole.Fields.Split = "" // an element of an array was kept by itself
		events, err := router.Decode(whole, m)
		switch {
		case err != nil && what.JSON:
			fmt.Fprintln(opts.Stdout, v.rejectedLine(ch, m, err))
		case err != nil:
			fmt.Fprintf(opts.Stdout, "%-*s  rejected: %s\n", width, printable(k.Key), printable(strings.ReplaceAll(err.Error(), "\n", "; ")))
		case what.JSON:
			fmt.Fprintln(opts.Stdout, v.eventLine(ch, &events[0]))
		default:
			e := &events[0]
			fmt.Fprintf(opts.Stdout, "%-*s  %s  %s  %s\n", width, printable(k.Key), e.Time.Local().Format("2006-01-02 15:04:05.000"),
				printable(e.Type), printable(string(pretty.Ugly(e.Data))))
		}
	}
}

// allKept says what is missing.
func (p *program) allKept(ctx context.Context, what LatestOptions, ch router.Channel, kept []router.Kept) error {
	if len(kept) > 0 && len(kept) >= len(what.Keys) {
		return nil
	}
	has := make(map[string]bool, len(kept))
	for _, k := range kept {
		has[k.Key] = true
	}
	all, err := p.redis.Latest().Kept(ctx, ch.Topic)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		hint := "; a route to a handler of the kind latest keeps events"
		if near, ok := nearest.Name(ch.Name, p.declared()); ok && near != ch.Name {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return fmt.Errorf("nothing is kept of %q%s", ch.Name, hint)
	}
	names := make([]string, len(all))
	for i, k := range all {
		names[i] = k.Key
	}
	for _, key := range what.Keys {
		if has[key] {
			continue
		}
		hint := fmt.Sprintf("; there are %d keys: router latest %s", len(all), ch.Name)
		if near, ok := nearest.Name(key, names); ok {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return fmt.Errorf("nothing is kept of %q under the key %q%s", ch.Name, key, hint)
	}
	return nil
}
