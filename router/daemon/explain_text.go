package daemon

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"signalbox/router"
)

// explainPrinter prints explanations: JSON, a line each, or text for a person.
type explainPrinter struct {
	out     io.Writer
	json    bool
	colours bool
	printed int
}

func newExplainPrinter(out io.Writer, json bool) *explainPrinter {
	return &explainPrinter{out: out, json: json, colours: colourful(out)}
}

func (p *explainPrinter) print(one explained) error {
	text := toJSON(one) + "\n"
	if !p.json {
		text = p.text(one)
		if p.printed > 0 {
			text = "\n" + text
		}
	}
	p.printed++
	_, err := io.WriteString(p.out, text)
	return err
}

// What a terminal does from one of these on, until the last.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	faint  = "\x1b[2m"
	normal = "\x1b[0m"
)

func (p *explainPrinter) in(colour, text string) string {
	if !p.colours || text == "" {
		return text
	}
	return colour + text + normal
}

func (p *explainPrinter) text(one explained) string {
	var b strings.Builder
	head := []string{one.Channel, one.Transport}
	if one.Name != one.Channel {
		head[1] += " " + strconv.Quote(one.Name)
	}
	for _, word := range []string{one.Type, labelled("id", one.ID), labelled("key", one.Key), one.Age, labelled("data", one.Data)} {
		if word != "" {
			head = append(head, word)
		}
	}
	fmt.Fprintln(&b, printable(strings.Join(head, " · ")))
	if one.Rejected != "" {
		fmt.Fprintf(&b, "  %s rejected (%s): %s\n", p.in(red, "✗"), one.Cause, printable(one.Rejected))
	}
	if one.Note != "" {
		fmt.Fprintf(&b, "  %s %s\n", p.in(yellow, "!"), printable(one.Note))
	}
	width := 0
	for _, r := range one.Routes {
		width = max(width, utf8.RuneCountInString(r.begin()))
	}
	for _, r := range one.Routes {
		p.route(&b, r, width)
	}
	fmt.Fprintln(&b, one.sum())
	return b.String()
}

func labelled(label, text string) string {
	if text == "" {
		return ""
	}
	return label + " " + text
}

// begin is how the lines of a route begin: "enter → paper_bot".
func (r *explainedRoute) begin() string {
	return printable(fmt.Sprintf("%s → %s", r.Route, titled(r.Handler, r.Kind)))
}

// route prints whether a route takes the event and where it is written, then why, then
// how it would handle it.
func (p *explainPrinter) route(b *strings.Builder, r explainedRoute, width int) {
	mark := p.in(red, "✗")
	switch r.Result {
	case resultMatch:
		mark = p.in(green, "✓")
	case resultUnknown:
		mark = p.in(yellow, "?")
	case resultOff:
		mark = p.in(faint, "–")
	}
	begin := r.begin()
	pad := strings.Repeat(" ", width-utf8.RuneCountInString(begin))
	fmt.Fprintf(b, "  %s %s%s  %s\n", mark, begin, pad, p.in(faint, printable(r.At)))
	var why []string
	for _, c := range r.Clauses {
		if c.Result == r.Result || r.Result == resultMatch {
			why = append(why, printable(c.Text))
		}
	}
	fmt.Fprintf(b, "      %s\n", strings.Join(why, " · "))
	if r.Result == resultMatch || r.Result == resultUnknown {
		fmt.Fprintf(b, "      %s\n", printable(r.Policy))
	}
}

// sum is the last line: how many routes take the event, or what becomes of it.
func (one *explained) sum() string {
	if one.Outcome != "" {
		return printable(one.Outcome)
	}
	off := 0
	for _, r := range one.Routes {
		if r.Result == resultOff {
			off++
		}
	}
	asked := len(one.Routes) - off
	routes, verb := "routes", "match"
	if asked == 1 {
		routes = "route"
	}
	if asked == 1 || one.Matches == 1 {
		verb = "matches"
	}
	text := fmt.Sprintf("%d of %d %s %s", one.Matches, asked, routes, verb)
	if one.Unknown > 0 {
		text += fmt.Sprintf(", %d unknown", one.Unknown)
	}
	if off > 0 {
		text += fmt.Sprintf(", %d off", off)
	}
	return text
}

// redisName is how a channel is carried, and its name in Redis where that is another.
func redisName(ch router.Channel) string {
	how := string(ch.Transport)
	if ch.Pattern {
		how += " " + printable(ch.Topic)
	} else if ch.Topic != ch.Name {
		how += " " + strconv.Quote(ch.Topic)
	}
	return how
}
