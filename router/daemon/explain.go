package daemon

import (
	"context"
	"fmt"
	"io"
	"slices"

	"signalbox/router/routesfile"
)

// ExplainOptions say which message is explained: the one that publish would send, a whole
// one from From (without Type), or with Last the most recent one of the channel.
type ExplainOptions struct {
	Channel string
	Type    string
	Data    string    // of an event of this Type; empty: nobody knows
	From    io.Reader // holds the data or, without Type, the message
	Last    bool
	JSON    bool
}

// Explain says for each route of a channel whether it takes a message, or which clause
// keeps it from that. It is an error when none can take it.
func Explain(ctx context.Context, opts Options, what ExplainOptions) error {
	p, err := openToExplain(opts, what)
	if err != nil {
		return err
	}
	if what.Last {
		defer p.close()
	}
	ch, ok := p.channel(what.Channel)
	if !ok {
		return &UsageError{p.unknownChannel(what.Channel)}
	}
	e, err := newExplainer(opts, p, ch)
	if err != nil {
		return err
	}
	e.tellSkipped()
	all, err := e.message(ctx, what)
	if err != nil {
		return err
	}
	printer := newExplainPrinter(opts.Stdout, what.JSON)
	taken := false
	for _, one := range all {
		taken = taken || one.Matches+one.Unknown > 0
		if err := printer.print(one); err != nil {
			return err
		}
	}
	if !taken {
		return fmt.Errorf("no route of channel %q would handle this message", ch.Name)
	}
	return nil
}

// message explains each event of a message, and why it is none.
func (e *explainer) message(ctx context.Context, what ExplainOptions) ([]explained, error) {
	subjects, rejected, err := e.subjects(ctx, what)
	if err != nil {
		return nil, err
	}
	var all []explained
	for _, s := range subjects {
		all = append(all, e.explain(s))
	}
	for _, why := range rejected {
		all = append(all, e.rejection(why))
	}
	if len(all) == 0 {
		all = append(all, e.nothing())
	}
	return all, nil
}

// openToExplain loads the configuration; only the last message needs Redis.
func openToExplain(opts Options, what ExplainOptions) (*program, error) {
	opts.Source.Check = true
	if what.Last {
		return openQuietly(opts)
	}
	loaded, err := routesfile.Load(opts.Source, opts.Kinds)
	if err != nil {
		return nil, err
	}
	return &program{loaded: loaded}, nil
}

// tellSkipped tells the notes of the configuration that may change the answer.
func (e *explainer) tellSkipped() {
	for _, note := range e.program.loaded.Notes {
		if note.Skipped == nil || slices.Contains([]string{"sources", "handlers", "redis", "log", "http"}, note.Skipped[0]) {
			continue
		}
		if note.Skipped[0] != "channels" || ofChannel(note.Skipped, []string{e.channel.Name}) {
			fmt.Fprintln(e.opts.Stderr, note)
		}
	}
}
