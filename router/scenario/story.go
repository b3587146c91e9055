package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"signalbox/router/internal/order"
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
	t := teller{places: map[same][]int{}, met: map[[3]string]int{}, refused: make([]string, len(p.sent))}
	for i, s := range p.sent {
		all = append(all, t.introduce(i, s))
	}
	var rest []happening
	for _, h := range p.happened() {
		i := t.place(h, all)
		if i < 0 {
			rest = append(rest, h)
			continue
		}
		all[i].Became = append(all[i].Became, h.tell())
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

// teller finds the message that something happened to.
type teller struct {
	places  map[same][]int    // messages that are an event, or have it among others
	met     map[[3]string]int // by channel, message and route: how often it was met
	refused []string          // why a message, or a part of it, is no event
}

// introduce begins the story of message i.
func (t *teller) introduce(i int, s sent) Sent {
	story := Sent{Channel: s.channel.Name}
	events, err := s.events(time.Unix(0, 0))
	if err == nil && len(events) == 1 {
		story.Type = events[0].Type
		if events[0].ID != noID {
			story.ID = events[0].ID
		}
	} else {
		story.Text = brief(s.text)
	}
	for _, e := range events {
		what := same{s.channel.Name, string(e.Msg)}
		t.places[what] = append(t.places[what], i)
	}
	if err != nil {
		t.refused[i] = err.Error()
	}
	return story
}

// place is the message that h is about; -1: the test did not send it.
func (t *teller) place(h happening, all []Sent) int {
	switch {
	case h.list == "published":
		return -1
	case h.event == nil:
		for i, s := range all {
			if before, after, found := strings.Cut(t.refused[i], h.detail); s.Channel == h.channel && found {
				t.refused[i] = before + after // the next one is another
				return i
			}
		}
		return -1
	}
	what, by := same{h.channel, string(h.message)}, [3]string{h.channel, string(h.message), h.route}
	n := t.met[by]
	t.met[by]++
	if n >= len(t.places[what]) {
		return -1
	}
	return t.places[what][n]
}

// sequel tells of what the test did not send itself.
func sequel(rest []happening) (then []Sent) {
	order.Stable(rest, func(a, b *happening) int {
		return cmp.Or(cmp.Compare(a.channel, b.channel), cmp.Compare(a.typ, b.typ), cmp.Compare(string(a.message), string(b.message)), cmp.Compare(a.tell(), b.tell()))
	})
	for i, h := range rest {
		if i == 0 || rest[i-1].channel != h.channel || string(rest[i-1].message) != string(h.message) {
			one := Sent{Channel: h.channel, Type: h.typ, ID: h.ownID()}
			if h.typ == "" {
				one.Text = brief(string(h.message))
			}
			then = append(then, one)
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
		line := h.list
		if h.detail != "" {
			line += ": " + brief(h.detail)
		}
		if h.dead {
			line += "; a dead letter"
		}
		return line
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
