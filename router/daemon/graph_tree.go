package daemon

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// drawTree draws a line for each channel and, below it, for each source that publishes to it
// and for each of its routes.
func drawTree(g graph, out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "service %s\n", printable(g.Service))
	types, handlers := 0, 0
	for _, ch := range g.Channels {
		for _, r := range ch.Routes {
			types = max(types, utf8.RuneCountInString(printable(r.shown)))
			handlers = max(handlers, utf8.RuneCountInString(printable(titled(r.handler.Handler, r.handler.Kind))))
		}
	}
	types = min(types, 40) // one long list must not push all others away
	for _, ch := range g.Channels {
		fmt.Fprintln(&b, ch.title())
		for _, s := range g.Sources {
			if s.Channel == ch.Channel {
				fmt.Fprintln(&b, s.line())
			}
		}
		for i, r := range ch.Routes {
			branch := "├─"
			if i == len(ch.Routes)-1 {
				branch = "└─"
			}
			line := fmt.Sprintf("  %s %-*s  → %-*s  %s", branch, types, printable(r.shown), handlers, printable(titled(r.handler.Handler, r.handler.Kind)), r.tail(&ch))
			fmt.Fprintln(&b, strings.TrimRight(line, " "))
		}
		if len(ch.Routes) == 0 {
			fmt.Fprintln(&b, "  └─ no route")
		}
	}
	if idle := g.idle(); len(idle) > 0 {
		fmt.Fprintf(&b, "handlers without a route: %s\n", strings.Join(idle, ", "))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// title is the line of a channel.
func (ch *graphChannel) title() string {
	words := []string{ch.Channel, ch.Transport}
	if ch.Name != ch.Channel {
		words[1] += " " + strconv.Quote(ch.Name)
	}
	if len(ch.Types) > 0 {
		words = append(words, strings.Join(ch.Types, " "))
	}
	if ch.DeadLetter != "" {
		words = append(words, "dead letters in "+ch.DeadLetter)
	}
	if ch.Description != "" {
		words = append(words, ch.Description)
	}
	return printable(strings.Join(words, " · "))
}

// line is that of a source, below its channel.
func (s *graphSource) line() string {
	line := "  ├─ ← source " + titled(s.Source, s.Kind)
	if !s.Enabled {
		line += "  off"
	}
	return printable(line)
}

// tail is the rest of a route's line.
func (r *graphRoute) tail(ch *graphChannel) string {
	words := r.words()
	if !r.Enabled {
		words = append([]string{"off"}, words...)
	}
	if len(r.handler.PublishesTo) > 0 {
		words = append(words, "publishes to "+strings.Join(r.handler.PublishesTo, " "))
	}
	switch r.DeadLetter {
	case ch.DeadLetter:
	case "":
		words = append(words, "no dead letters")
	default:
		words = append(words, "dead letters in "+r.DeadLetter)
	}
	return printable(strings.Join(words, " · "))
}

// idle are the handlers that no route uses, with their kinds.
func (g *graph) idle() []string {
	var names []string
	for _, h := range g.Handlers {
		routed := slices.ContainsFunc(g.Channels, func(ch graphChannel) bool {
			return slices.ContainsFunc(ch.Routes, func(r graphRoute) bool { return r.Handler == h.Handler })
		})
		if !routed {
			names = append(names, printable(titled(h.Handler, h.Kind)))
		}
	}
	return names
}

// drawTable draws a line for each route, as plain columns.
func drawTable(g graph, out io.Writer) error {
	table := newTable(out)
	fmt.Fprintln(table, "channel\ttransport\tname\ttypes\troute\ton\tpolicy\thandler\tkind\tpublishes to\tdead letters\tat")
	for _, ch := range g.Channels {
		for _, r := range ch.Routes {
			on := "yes"
			if !r.Enabled {
				on = "off"
			}
			cells := []string{
				ch.Channel, ch.Transport, ch.Name, strings.Join(r.Types, " "), r.Route, on, r.Policy,
				r.Handler, r.handler.Kind, strings.Join(r.handler.PublishesTo, " "), r.DeadLetter, r.At,
			}
			for i, cell := range cells {
				if cells[i] = printable(cell); cell == "" {
					cells[i] = "-"
				}
			}
			fmt.Fprintln(table, strings.Join(cells, "\t"))
		}
	}
	return table.Flush()
}
