package daemon

import (
	"fmt"
	"io"
	"strings"

	"signalbox/router/internal/wording"
)

// print prints what was found: problems first, or as JSON. Whole says that all could be read.
func (s *survey) print(found findings, asJSON, whole bool) error {
	out := s.opts.Stdout
	if asJSON {
		return printLines(out, found)
	}
	printRemarks(out, "problem", found, func(r remarks) []remark { return r.Problems })
	printRemarks(out, "note", found, func(r remarks) []remark { return r.Notes })
	if found.problems() == 0 && whole {
		fmt.Fprint(out, "ok: no problem\n\n")
	}
	table := newTable(out)
	fmt.Fprintln(table, "channel\ttransport\tin Redis\tnow")
	for _, ch := range found.channels {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", printable(ch.Channel), ch.Transport, printable(ch.Name), s.state(ch))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if err := s.printSources(out, found.sources); err != nil {
		return err
	}
	if err := s.printGroups(out, found.channels); err != nil {
		return err
	}
	return s.printDead(out, found.channels)
}

// printLines prints a line of JSON for each channel, and then for each source.
func printLines(out io.Writer, found findings) error {
	for _, ch := range found.channels {
		if _, err := fmt.Fprintln(out, toJSON(ch)); err != nil {
			return err
		}
	}
	for _, one := range found.sources {
		if _, err := fmt.Fprintln(out, toJSON(one)); err != nil {
			return err
		}
	}
	return nil
}

func printRemarks(out io.Writer, word string, found findings, pick func(remarks) []remark) {
	n := 0
	tell := func(of string, all remarks) {
		for _, r := range pick(all) {
			fmt.Fprintf(out, "%s: %s: %s\n  %s\n", word, printable(of), printable(r.What), printable(r.Remedy))
			n++
		}
	}
	for _, ch := range found.channels {
		tell(ch.Channel, ch.remarks)
	}
	for _, one := range found.sources {
		tell("source "+one.Source, one.remarks)
	}
	if n > 0 {
		fmt.Fprintln(out)
	}
}

// state is that of a channel in words.
func (s *survey) state(ch *channelStatus) string {
	switch {
	case ch.Subscribers != nil && *ch.Patterns > 0:
		return fmt.Sprintf("%s, and %s in this Redis", wording.Several(*ch.Subscribers, "subscriber", "subscribers"), wording.Several(*ch.Patterns, "pattern", "patterns"))
	case ch.Subscribers != nil:
		return wording.Several(*ch.Subscribers, "subscriber", "subscribers")
	case ch.Patterns != nil:
		return wording.Several(*ch.Patterns, "pattern", "patterns") + " subscribed to in this Redis"
	case ch.Length == nil:
		return "not known"
	case *ch.Length == 0 && ch.Newest == nil:
		return fmt.Sprintf("0 of %d entries", ch.MaxLen)
	case ch.Newest == nil:
		return fmt.Sprintf("%d of %d entries", *ch.Length, ch.MaxLen)
	}
	return fmt.Sprintf("%d of %d entries, the newest %s old", *ch.Length, ch.MaxLen, shownAge(*ch.Newest, s.now))
}

func (s *survey) printGroups(out io.Writer, channels []*channelStatus) error {
	table := newTable(out)
	n := 0
	for _, ch := range channels {
		for i := range ch.Groups {
			if n++; n == 1 {
				fmt.Fprintln(table, "\ngroup\tof\tconsumers\tlag\tpending\toldest\ttrimmed")
			}
			g := &ch.Groups[i]
			lag := "?"
			if g.Lag != nil {
				lag = fmt.Sprint(*g.Lag)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%d\n", printable(g.Group), printable(ch.Channel), g.consumers(), lag, g.Pending, s.oldest(g), g.Trimmed)
		}
	}
	return table.Flush()
}

// consumers is "2 alive, 1 dead". Dead ones with nothing pending are no more than names.
func (g *groupStatus) consumers() string {
	alive, _ := g.in(stateAlive)
	foreign, _ := g.in(stateForeign)
	dead := 0
	for _, c := range g.Consumers {
		if c.State == stateDead && c.Pending > 0 {
			dead++
		}
	}
	words := []string{fmt.Sprintf("%d alive", alive)}
	if dead > 0 {
		words = append(words, fmt.Sprintf("%d dead", dead))
	}
	if foreign > 0 {
		words = append(words, fmt.Sprintf("%d foreign", foreign))
	}
	return strings.Join(words, ", ")
}

func (s *survey) oldest(g *groupStatus) string {
	if g.Oldest == nil {
		return "-"
	}
	return fmt.Sprintf("%s, %s (%s)", shownAge(g.Oldest.Added, s.now), printable(g.Oldest.Consumer), g.Oldest.State)
}

func (s *survey) printDead(out io.Writer, channels []*channelStatus) error {
	table := newTable(out)
	n := 0
	for _, ch := range channels {
		for _, dead := range ch.DeadLetters {
			if n++; n == 1 {
				fmt.Fprintln(table, "\ndead letters\tof\tletters\tnewest")
			}
			newest := "-"
			if dead.Newest != nil {
				newest = shownAge(*dead.Newest, s.now)
			}
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", printable(dead.Stream), printable(ch.Channel), dead.Letters, newest)
		}
	}
	return table.Flush()
}
