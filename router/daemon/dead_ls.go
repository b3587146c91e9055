package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// DeadListOptions say which dead letters to list, and how.
type DeadListOptions struct {
	DeadOptions
	N    int // only so many, the newest; 0: all
	JSON bool
}

const (
	errorWidth  = 80    // of an error in a line of text
	wordWidth   = 48    // of a type or id: one that is huge would push the rest out of sight; a UUID fits
	alignedRows = 1_000 // have columns of the same width
)

// ListDead prints a line for each dead letter of a channel, the newest last; without a
// channel, a line for each that can have any.
func ListDead(ctx context.Context, opts Options, what DeadListOptions) error {
	if what.N < 0 {
		return &UsageError{fmt.Errorf("-n %d: want a number of dead letters, or 0 for all", what.N)}
	}
	if what.Channel == "" {
		return overviewDead(ctx, opts, what)
	}
	d, err := openDesk(ctx, opts, what.DeadOptions)
	if err != nil {
		return err
	}
	defer d.close()
	printer := newRowPrinter(opts.Stdout, what.JSON, d.filter.now)
	total, err := d.list(ctx, what.N, printer)
	if err != nil {
		return err
	}
	if opts.Verbosity >= 0 && total == 0 {
		fmt.Fprintln(opts.Stderr, d.none())
	} else if opts.Verbosity >= 0 && what.N > 0 && total > what.N {
		fmt.Fprintf(opts.Stderr, "the newest %d of %d\n", what.N, total)
	}
	return nil
}

// list prints the newest n letters, or all, and returns how many there are.
func (d *desk) list(ctx context.Context, n int, printer *rowPrinter) (total int, err error) {
	var newest []deadRow
	for l, err := range d.letters(ctx) {
		if err != nil {
			return total, because(ctx, err)
		}
		total++
		if n == 0 {
			if err := printer.row(newDeadRow(&l)); err != nil {
				return total, err
			}
			continue
		}
		if newest = append(newest, newDeadRow(&l)); len(newest)-n >= n {
			newest = append(newest[:0], newest[len(newest)-n:]...)
		}
	}
	for _, row := range newest[max(0, len(newest)-n):] {
		if err := printer.row(row); err != nil {
			return total, err
		}
	}
	return total, printer.flush()
}

// deadRow is a dead letter as `dead ls -o json` prints it. But for its own id, and the
// stream that it is in, everything is named as in the stream.
type deadRow struct {
	Letter    string `json:"letter"`
	Stream    string `json:"stream"`
	Reason    string `json:"reason"`
	Error     string `json:"error"`
	Service   string `json:"service"`
	Group     string `json:"group,omitempty"`
	Channel   string `json:"channel"`
	Name      string `json:"name"`
	Route     string `json:"route,omitempty"`
	Handler   string `json:"handler,omitempty"`
	Type      string `json:"type,omitempty"`
	ID        string `json:"id,omitempty"`
	TraceID   string `json:"trace_id,omitempty"`
	Time      string `json:"time,omitempty"`
	Key       string `json:"key,omitempty"`
	Attempts  int    `json:"attempts"`
	FirstTime string `json:"first_time"`
	LastTime  string `json:"last_time"`
	Entry     string `json:"entry,omitempty"`
	Replays   int    `json:"replays"`
	Bytes     int    `json:"bytes"` // of the payload

	givenUp time.Time
}

func newDeadRow(l *letter) deadRow {
	return deadRow{
		Letter: l.id, Stream: l.stream,
		Reason: l.fields["reason"], Error: l.fields["error"],
		Service: l.fields["service"], Group: l.fields["group"], Channel: l.fields["channel"], Name: l.fields["name"],
		Route: l.fields["route"], Handler: l.fields["handler"],
		Type: l.typ, ID: l.event, TraceID: l.fields["trace_id"], Time: l.fields["time"], Key: l.fields["key"],
		Attempts: l.number("attempts"), FirstTime: l.fields["first_time"], LastTime: l.fields["last_time"],
		Entry: l.fields["entry"], Replays: l.number("replays"), Bytes: len(l.fields["payload"]),
		givenUp: l.givenUp(),
	}
}

// rowPrinter prints rows, in columns or as JSON. So that any number of rows takes little
// memory, columns are aligned for a block of rows at a time.
type rowPrinter struct {
	out   *bufio.Writer
	table *tabwriter.Writer // nil: JSON
	now   time.Time
	rows  int
}

func newRowPrinter(out io.Writer, asJSON bool, now time.Time) *rowPrinter {
	p := &rowPrinter{out: bufio.NewWriter(out), now: now}
	if !asJSON {
		p.table = newTable(p.out)
	}
	return p
}

func newTable(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

func (p *rowPrinter) row(row deadRow) error {
	if p.table == nil {
		fmt.Fprintln(p.out, toJSON(row))
	} else {
		p.line(row)
	}
	if p.rows++; p.rows%alignedRows == 0 {
		return p.flush()
	}
	return nil
}

func (p *rowPrinter) line(row deadRow) {
	if p.rows == 0 {
		fmt.Fprintln(p.table, "letter\tage\treason\troute\ttype\tid\tattempts\terror")
	}
	cells := []string{
		row.Letter, shownAge(row.givenUp, p.now), row.Reason, row.Route, firstRunes(row.Type, wordWidth), firstRunes(row.ID, wordWidth),
		strconv.Itoa(row.Attempts), firstRunes(row.Error, errorWidth),
	}
	for i, cell := range cells {
		if cells[i] = printable(cell); cell == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(p.table, strings.Join(cells, "\t"))
}

func (p *rowPrinter) flush() error {
	if p.table != nil {
		if err := p.table.Flush(); err != nil {
			return err
		}
	}
	return p.out.Flush()
}

func firstRunes(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}

// shownAge is how long ago something was, in its largest unit.
func shownAge(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	switch age := max(0, now.Sub(at)); {
	case age < time.Minute:
		return fmt.Sprintf("%ds", int(age.Seconds()))
	case age < time.Hour:
		return fmt.Sprintf("%dm", int(age.Minutes()))
	case age < 48*time.Hour:
		return fmt.Sprintf("%dh", int(age.Hours()))
	default:
		return fmt.Sprintf("%dd", int(age.Hours()/24))
	}
}
