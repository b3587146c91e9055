package handlers

import (
	"fmt"
	"slices"
	"strings"

	"signalbox/router"
)

// template is a text with places for fields of an event: "{data.symbol} at {time}". Two
// braces stand for one.
type template struct {
	parts []part
}

// part is a piece of a template: words, or a place.
type part struct {
	words string
	place bool
	field field
	own   string // name of a place that is no field of an event
}

// parseTemplate reads a template. Own are names of places that the kind fills by itself.
func parseTemplate(text string, own ...string) (template, error) {
	var t template
	var words strings.Builder
	flush := func() {
		if words.Len() > 0 {
			t.parts = append(t.parts, part{words: words.String()})
			words.Reset()
		}
	}
	for rest := text; rest != ""; {
		at := strings.IndexAny(rest, "{}")
		if at < 0 {
			at = len(rest)
		}
		words.WriteString(rest[:at])
		rest = rest[at:]
		switch {
		case rest == "":
		case strings.HasPrefix(rest, "{{"), strings.HasPrefix(rest, "}}"):
			words.WriteByte(rest[0])
			rest = rest[2:]
		case rest[0] == '}':
			return template{}, fmt.Errorf("%q: a } without {; write }} for the character", text)
		default:
			name, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				return template{}, fmt.Errorf("%q: a { without }; write {{ for the character", text)
			}
			flush()
			p, err := parsePlace(name, own)
			if err != nil {
				return template{}, fmt.Errorf("%q: %w", text, err)
			}
			t.parts = append(t.parts, p)
			rest = after
		}
	}
	flush()
	return t, nil
}

func parsePlace(name string, own []string) (part, error) {
	if slices.Contains(own, name) {
		return part{place: true, own: name}, nil
	}
	f, err := parseField(name)
	return part{place: true, field: f}, err
}

// of fills the places with what an event has there; with nothing, where it has nothing.
// Fill, if not nil, gives the text of each place that the kind fills by itself, and may
// change that of the others.
func (t template) of(event *router.Event, fill func(own, text string) string) string {
	if len(t.parts) == 1 && !t.parts[0].place {
		return t.parts[0].words
	}
	var b strings.Builder
	for _, p := range t.parts {
		if !p.place {
			b.WriteString(p.words)
			continue
		}
		text := ""
		if p.own == "" {
			text = p.field.textIn(event)
		}
		if fill != nil {
			text = fill(p.own, text)
		}
		b.WriteString(text)
	}
	return b.String()
}
