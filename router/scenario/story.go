package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Sent is a message, or an event that Signalbox itself originated, and what became of it.
type Sent struct {
	Channel string   `json:"channel"`
	Type    string   `json:"type,omitempty"` // empty: it is no event, or several
	ID      string   `json:"id,omitempty"`
	Text    string   `json:"text,omitempty"` // what is no event
	Became  []string `json:"became"`
}

// same is what tells one message from another.
type same struct{ channel, message string }

// stories tells what became of each message that the test sent, and then of whatever came
// up meanwhile. Of two that are the same, a route handles the first one first.
func (p *play) stories() (all, then []Sent) {
	places := map[same][]int{}
	for i, s := range p.sent {
		story := Sent{Channel: s.channel.Name}
		events, err := s.events(time.Unix(0, 0))
		switch {
		case err == nil && len(events) == 1:
			story.Type = events[0].Type
			if events[0].ID != noID {
				story.ID = events[0].ID
			}
		default:
			story.Text = brief(s.text)
		}
		for _, e := range events {
			places[same{s.channel.Name, string(e.Msg)}] = append(places[same{s.channel.Name, string(e.Msg)}], i)
		}
		if err != nil {
			story.Became = append(story.Became, "rejected: "+err.Error())
		}
		all = append(all, story)
	}
	met := map[same]map[string]int{} // by what is the same and route: how many were met
	var rest []happening
	for _, h := range p.happened() {
		switch {
		case h.event == nil && h.list == "rejected":
			continue // told above
		case h.event == nil:
			rest = append(rest, h)
			continue
		}
		what := same{h.channel, string(h.message)}
		if met[what] == nil {
			met[what] = map[string]int{}
		}
		n := met[what][h.route]
		met[what][h.route]++
		if n >= len(places[what]) {
			rest = append(rest, h)
			continue
		}
		story := &all[places[what][n]]
		story.Became = append(story.Became, h.tell())
	}
	for i := range all {
		slices.Sort(all[i].Became)
		all[i].Became = counted(all[i].Became)
		if len(all[i].Became) == 0 {
			all[i].Became = []string{"nothing: no route takes it"}
		}
	}
	return all, sequel(rest)
}

// sequel tells of what the test did not send itself.
func sequel(rest []happening) (then []Sent) {
	slices.SortStableFunc(rest, func(a, b happening) int {
		return cmp.Or(cmp.Compare(a.channel, b.channel), cmp.Compare(a.typ, b.typ), cmp.Compare(string(a.message), string(b.message)), cmp.Compare(a.tell(), b.tell()))
	})
	for i, h := range rest {
		if i == 0 || rest[i-1].channel != h.channel || string(rest[i-1].message) != string(h.message) {
			then = append(then, Sent{Channel: h.channel, Type: h.typ, ID: h.ownID()})
		}
		last := &then[len(then)-1]
		last.Became = append(last.Became, h.tell())
	}
	for i := range then {
		then[i].Became = counted(then[i].Became)
	}
	return then
}

// tell is a line about what happened.
func (h *happening) tell() string {
	if h.route == "" {
		if h.dead {
			return h.list + ", and kept as a dead letter"
		}
		return h.list
	}
	line := h.route + ": " + h.list
	if h.route != h.handler {
		line = fmt.Sprintf("%s (handler %s): %s", h.route, h.handler, h.list)
	}
	switch {
	case h.list == "skipped":
		line += ", by " + h.reason
	case h.attempts > 1:
		line += fmt.Sprintf(" after %d attempts", h.attempts)
	}
	if h.list == "failed" || h.list == "waiting" {
		line += ": " + brief(h.detail)
	}
	if h.dead {
		line += "; a dead letter"
	}
	return line
}

// counted puts lines that are the same, and stand together, on one.
func counted(lines []string) (short []string) {
	for len(lines) > 0 {
		n := 1
		for n < len(lines) && lines[n] == lines[0] {
			n++
		}
		line := lines[0]
		if n > 1 {
			line += fmt.Sprintf(" (%d times)", n)
		}
		short, lines = append(short, line), lines[n:]
	}
	return short
}

// brief is the beginning of a text, on one line.
func brief(text string) string {
	const most = 100
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
