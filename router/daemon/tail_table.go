package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"signalbox/router/internal/order"
)

// ratesTable is a table of rates, no wider and higher than so many characters and lines;
// 0 is as large as it gets. The busiest rows are shown, and the others counted.
func ratesTable(rows []rateRow, width, height int) string {
	rows, left := busiest(rows, height)
	cells := [][]string{{"channel", "type", "msg/s", "average", "total", "bytes/s", "age"}}
	for i := range rows {
		cells = append(cells, rows[i].cells())
	}
	var widths [7]int
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	line := func(text string) {
		if runes := []rune(text); width > 0 && len(runes) > width {
			text = string(runes[:width-1]) + "…"
		}
		b.WriteString(text + "\n")
	}
	for _, row := range cells {
		for i, cell := range row {
			width := widths[i]
			if i < 2 {
				width = -width // to the left
			}
			row[i] = fmt.Sprintf("%*s", width, cell)
		}
		line(strings.Join(row, "  "))
	}
	if left > 0 {
		line(fmt.Sprintf("… and %d more", left))
	}
	return b.String()
}

func (r *rateRow) cells() []string {
	typ := printable(firstRunes(r.Type, wordWidth))
	switch r.kind {
	case rejected:
		typ = "rejected"
	case otherTypes:
		typ = "other types"
	}
	age := shownAge(time.Unix(0, 0), time.Unix(0, int64(r.Age*float64(time.Second))))
	return []string{
		printable(firstRunes(r.Channel, wordWidth)), typ, shownRate(r.PerSecond), shownRate(r.Average),
		fmt.Sprint(r.Total), fmt.Sprintf("%.0f", r.BytesPerSecond), age,
	}
}

// shownRate is as exact as a person reads it: one event an hour is not none.
func shownRate(perSecond float64) string {
	switch {
	case perSecond == 0:
		return "0"
	case perSecond < 1:
		return fmt.Sprintf("%.3f", perSecond)
	default:
		return fmt.Sprintf("%.1f", perSecond)
	}
}

// busiest are the rows that fit into so many lines, in their order, and how many others
// there are.
func busiest(rows []rateRow, height int) (shown []rateRow, left int) {
	const header, more = 1, 1
	if height <= 0 || len(rows)+header <= height {
		return rows, 0
	}
	shown = slices.Clone(rows)
	order.Stable(shown, func(a, b *rateRow) int { return cmp.Compare(b.Total, a.Total) })
	shown = shown[:max(0, height-header-more)]
	sortRates(shown)
	return shown, len(rows) - len(shown)
}
