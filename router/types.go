package router

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// OwnPrefix begins the types of the events that Signalbox itself originates. The
// pattern "*" does not match them: routes name them.
const OwnPrefix = "signalbox."

// TypeSet is a set of types: exact ones, prefixes, all, minus exclusions.
type TypeSet struct {
	include, exclude []pattern
}

// pattern is an exact type, or a prefix ("" matches all but Signalbox's own).
type pattern struct {
	text   string
	prefix bool
}

// ParseTypes reads patterns: "tick" is one type, "order.*" every type with that
// prefix, "*" every type except signalbox.*, and "!heartbeat" or "!order.*" an
// exclusion from the whole set. At least one must include something.
func ParseTypes(patterns ...string) (TypeSet, error) {
	if len(patterns) == 0 {
		return TypeSet{}, errors.New(`there are no types; "*" takes all`)
	}
	var set TypeSet
	for _, text := range patterns {
		body, excluded := strings.CutPrefix(text, "!")
		p, err := parsePattern(body)
		if err != nil {
			return TypeSet{}, fmt.Errorf("type %q: %w", text, err)
		}
		if excluded {
			set.exclude = append(set.exclude, p)
		} else {
			set.include = append(set.include, p)
		}
	}
	if len(set.include) == 0 {
		return TypeSet{}, fmt.Errorf(`types %q exclude only; add "*" to take all others`, patterns)
	}
	return set, nil
}

func parsePattern(text string) (pattern, error) {
	body, prefix := strings.CutSuffix(text, "*")
	switch {
	case text == "":
		return pattern{}, errors.New("is empty")
	case strings.ContainsAny(body, "*!"):
		return pattern{}, errors.New(`"*" may only stand at the end and "!" only at the beginning`)
	}
	return pattern{text: body, prefix: prefix}, nil
}

// Match reports whether the set has typ.
func (s TypeSet) Match(typ string) bool {
	return matchAny(s.include, typ) && !matchAny(s.exclude, typ)
}

// Decides is the pattern that decides about typ, as it was written: the first that
// excludes it, else the first that includes it. It is empty when none is about typ, which
// the set then lacks.
func (s TypeSet) Decides(typ string) string {
	if i := slices.IndexFunc(s.exclude, func(p pattern) bool { return p.match(typ) }); i >= 0 && matchAny(s.include, typ) {
		return "!" + s.exclude[i].String()
	}
	if i := slices.IndexFunc(s.include, func(p pattern) bool { return p.match(typ) }); i >= 0 {
		return s.include[i].String()
	}
	return ""
}

// matchPrefix reports whether the set has the types that begin with prefix, those
// apart that some pattern names exactly or by a longer prefix.
func (s TypeSet) matchPrefix(prefix string) bool {
	covers := func(p pattern) bool { return p.prefix && p.match(prefix) }
	return slices.ContainsFunc(s.include, covers) && !slices.ContainsFunc(s.exclude, covers)
}

func matchAny(patterns []pattern, typ string) bool {
	for _, p := range patterns {
		if p.match(typ) {
			return true
		}
	}
	return false
}

// String is the pattern as it was written.
func (p pattern) String() string {
	if p.prefix {
		return p.text + "*"
	}
	return p.text
}

func (p pattern) match(typ string) bool {
	if !p.prefix {
		return typ == p.text
	}
	if strings.HasPrefix(typ, OwnPrefix) && !strings.HasPrefix(p.text, OwnPrefix) {
		return false
	}
	return strings.HasPrefix(typ, p.text)
}
