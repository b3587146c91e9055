package scenario

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"signalbox/router/internal/order"
	"signalbox/router/routesfile"
)

// Failure is an expectation that was not met.
type Failure struct {
	At      routesfile.Position
	Problem string // in a word or two
	Want    string
	Near    string   // the nearest thing that happened; empty: nothing did
	Differs []string // what is different there
}

// compare says which expectations were not met. One thing that happened meets one of them.
func compare(expected []routesfile.Expectation, happened []happening) []Failure {
	met := assign(expected, happened)
	var failures []Failure
	for i, e := range expected {
		switch {
		case e.List == "not_handled":
			for _, h := range happened {
				if h.is(e.List) && len(differences(e, h)) == 0 {
					failures = append(failures, Failure{At: e.At, Problem: "was handled, and must not be", Want: wanted(e), Near: h.String()})
					break
				}
			}
		case met[i] < 0:
			failures = append(failures, nearest(i, expected, happened, met))
		}
	}
	order.Stable(failures, func(a, b *Failure) int {
		return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	return failures
}

// assign finds, for as many expectations as possible, something that happened and meets
// it; -1: none is left. An expectation that asks for little gives way to one that asks for
// more.
func assign(expected []routesfile.Expectation, happened []happening) (met []int) {
	met = slices.Repeat([]int{-1}, len(expected))
	var taken []int // by what happened: by which expectation of the list at hand
	var find func(i int, seen []bool) bool
	find = func(i int, seen []bool) bool {
		for j, h := range happened {
			if seen[j] || !h.is(expected[i].List) || len(differences(expected[i], h)) > 0 {
				continue
			}
			seen[j] = true
			if taken[j] < 0 || find(taken[j], seen) {
				met[i], taken[j] = j, i
				return true
			}
		}
		return false
	}
	for _, list := range []string{"handled", "skipped", "failed", "dead", "published", "rejected", "unmatched"} {
		taken = slices.Repeat([]int{-1}, len(happened))
		for i, e := range expected {
			if e.List == list {
				find(i, make([]bool, len(happened)))
			}
		}
	}
	return met
}

// nearest is the failure of expectation i, with what comes nearest to it.
func nearest(i int, expected []routesfile.Expectation, happened []happening, met []int) Failure {
	e := expected[i]
	f := Failure{At: e.At, Problem: "did not happen", Want: wanted(e)}
	best := -1
	for j, h := range happened {
		differs := differences(e, h)
		if !h.is(e.List) {
			differs = slices.Insert(differs, 0, fmt.Sprintf("it was %s, not %s", h.fate(), e.List))
		}
		if other := slices.Index(met, j); len(differs) == 0 && other >= 0 {
			differs = []string{fmt.Sprintf("this meets the expectation at %s already", expected[other].At), ""}
		}
		score := 2 * len(differs)
		if h.is(e.List) {
			score--
		}
		if best < 0 || score < best {
			best, f.Near = score, h.String()
			f.Differs = slices.DeleteFunc(differs, func(line string) bool { return line == "" })
		}
	}
	return f
}

// fate is what happened in a word, with the reason.
func (h *happening) fate() string {
	fate := h.list
	switch h.list {
	case "failed":
		fate = "given up"
	case "waiting":
		return "still waiting for a target that is away"
	}
	if h.reason != "" {
		fate += " (" + h.reason + ")"
	}
	return fate
}

// wanted is an expectation as it is written.
func wanted(e routesfile.Expectation) string {
	var fields []string
	for _, f := range []struct{ key, value string }{
		{"handler", e.Handler}, {"route", e.Route}, {"channel", e.Channel}, {"type", e.Type}, {"id", e.ID}, {"key", e.Key}, {"reason", e.Reason},
	} {
		if f.value != "" {
			fields = append(fields, fmt.Sprintf("%s = %q", f.key, f.value))
		}
	}
	if e.Attempts > 0 {
		fields = append(fields, fmt.Sprintf("attempts = %d", e.Attempts))
	}
	for _, f := range []struct {
		key   string
		value json.RawMessage
	}{{"message", e.Message}, {"data", e.Data}} {
		if f.value != nil {
			fields = append(fields, fmt.Sprintf("%s has %s", f.key, f.value))
		}
	}
	return e.List + " { " + strings.Join(fields, ", ") + " }"
}

// differences are the keys of an expectation that something doesn't meet.
func differences(e routesfile.Expectation, h happening) (differs []string) {
	for _, f := range []struct{ key, want, have string }{
		{"handler", e.Handler, h.handler},
		{"route", e.Route, h.route},
		{"channel", e.Channel, h.channel},
		{"type", e.Type, h.typ},
		{"id", e.ID, h.id},
		{"key", e.Key, h.key},
	} {
		switch {
		case f.want == "" || f.want == f.have:
		case f.have == "":
			differs = append(differs, fmt.Sprintf("%s: want %q, and it has none", f.key, f.want))
		default:
			differs = append(differs, fmt.Sprintf("%s: want %q, have %q", f.key, f.want, f.have))
		}
	}
	if e.Attempts > 0 && e.Attempts != h.attempts {
		differs = append(differs, fmt.Sprintf("attempts: want %d, have %d", e.Attempts, h.attempts))
	}
	if h.is(e.List) { // else its reason is one of another sort
		differs = append(differs, h.otherReason(e)...)
	}
	differs = append(differs, subset("message", e.Message, h.message)...)
	return append(differs, subset("data", e.Data, h.data)...)
}

// otherReason says that the reason is another one than expected. Of a rejected message the
// cause is meant, or a part of the error.
func (h *happening) otherReason(e routesfile.Expectation) []string {
	have := h.reason
	if e.List == "rejected" {
		have = h.cause + ": " + h.detail
	}
	switch {
	case e.Reason == "", e.Reason == h.reason && e.List != "rejected":
		return nil
	case e.List == "rejected" && (e.Reason == h.cause || strings.Contains(h.detail, e.Reason)):
		return nil
	}
	return []string{fmt.Sprintf("reason: want %q, have %q", e.Reason, have)}
}
