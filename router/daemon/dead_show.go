package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/pretty"
)

// ShowDead prints all that is known about one dead letter, the message itself at last.
func ShowDead(ctx context.Context, opts Options, channel, id string) error {
	d, err := openDesk(ctx, opts, DeadOptions{Channel: channel, IDs: []string{id}})
	if err != nil {
		return err
	}
	defer d.close()
	first := true
	for l, err := range d.letters(ctx) {
		if err != nil {
			return because(ctx, err)
		}
		if !first { // two places have one of this id
			fmt.Fprintln(opts.Stdout)
		}
		first = false
		if err := l.show(opts.Stdout); err != nil {
			return err
		}
	}
	return nil
}

// show prints the fields in the order in which one asks, then those that it doesn't know.
func (l *letter) show(out io.Writer) error {
	fields := maps.Clone(l.fields)
	for name, value := range map[string]string{"type": l.typ, "id": l.event} {
		if value != "" {
			fields[name] = value
		}
	}
	names := []string{
		"reason", "error", "route", "handler", "attempts", "replays", "first_time", "last_time",
		"type", "id", "trace_id", "key", "time", "channel", "name", "entry", "service", "group",
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(names, name) && name != "payload" && !noField(name) {
			names = append(names, name)
		}
	}
	table := newTable(out)
	fmt.Fprintf(table, "letter\t%s in %q\n", l.id, l.stream)
	for _, name := range names {
		if value, ok := fields[name]; ok {
			fmt.Fprintf(table, "%s\t%s\n", printable(name), printable(value))
		}
	}
	fmt.Fprintf(table, "payload\t%d bytes\n", len(fields["payload"]))
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, shownPayload(fields["payload"]))
	return err
}

// shownPayload is a message for the eye, and still JSON if it is; else it is one line.
func shownPayload(payload string) string {
	if !json.Valid([]byte(payload)) {
		return printable(payload)
	}
	lines := strings.Split(strings.TrimSpace(string(pretty.Pretty([]byte(payload)))), "\n")
	for i, line := range lines {
		lines[i] = escaped(line, jsonEscape)
	}
	return strings.Join(lines, "\n")
}
