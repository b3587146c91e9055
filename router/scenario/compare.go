package scenario

import (
	"cmp"
	"context"
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

// mostNear is how many things that happened are looked at for the nearest ones of a test:
// nobody reads more, and each takes a microsecond.
const mostNear = 200_000

// wish is an expectation, with what of it is JSON.
type wish struct {
	routesfile.Expectation
	message, data any
}

// compare says which expectations were not met, unless ctx ends before that is done. One
// thing that happened meets one of them.
func compare(ctx context.Context, expected []routesfile.Expectation, happened []happening) (failures []Failure, done bool) {
	wishes := make([]wish, len(expected))
	for i, e := range expected {
		wishes[i].Expectation = e
		wishes[i].message, _ = parse(e.Message) // checked when the tests were loaded
		wishes[i].data, _ = parse(e.Data)
	}
	met, by := assign(ctx, wishes, happened)
	looked := 0
	for i := range wishes {
		w := &wishes[i]
		if ctx.Err() != nil {
			return nil, false
		}
		switch {
		case w.List == "not_handled":
			for j := range happened {
				if w.met(&happened[j]) {
					failures = append(failures, Failure{At: w.At, Problem: "was handled, and must not be", Want: wanted(w.Expectation), Near: happened[j].String()})
					break
				}
			}
		case met[i] < 0 && looked > mostNear:
			failures = append(failures, Failure{At: w.At, Problem: "did not happen", Want: wanted(w.Expectation), Differs: []string{"too much happened to look for what comes nearest"}})
		case met[i] < 0:
			looked += len(happened)
			failures = append(failures, nearest(w, expected, happened, by[w.List]))
		}
	}
	order.Stable(failures, func(a, b *Failure) int {
		return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	return failures, true
}

// assign finds, for as many expectations as possible, something that happened and meets
// it; -1: none is left. An expectation that asks for little gives way to one that asks for
// more. By tells the same the other way round, for each list.
func assign(ctx context.Context, wishes []wish, happened []happening) (met []int, by map[string][]int) {
	met, by = slices.Repeat([]int{-1}, len(wishes)), map[string][]int{}
	for _, list := range []string{"handled", "skipped", "failed", "dead", "published", "rejected", "unmatched"} {
		by[list] = slices.Repeat([]int{-1}, len(happened))
		a := assignment{ctx, wishes, happened, met, by[list], make([]bool, len(happened))}
		vain := make([]bool, len(happened)) // what one wish has tried in vain, no other need try
		for i := range wishes {
			switch {
			case wishes[i].List != list:
			case a.find(i):
				copy(a.seen, vain)
			default:
				copy(vain, a.seen)
			}
		}
	}
	return met, by
}

// assignment is what of one list is assigned so far: the path of Kuhn's algorithm.
type assignment struct {
	ctx      context.Context
	wishes   []wish
	happened []happening
	met      []int  // by wish: what happened
	taken    []int  // by what happened: the wish
	seen     []bool // what is on the path, or was tried in vain
}

// find takes something for a wish: what is free, else what another can do without.
func (a *assignment) find(i int) bool {
	if a.ctx.Err() != nil {
		return false
	}
	var occupied []int
	for j := range a.happened {
		switch {
		case a.seen[j] || !a.wishes[i].met(&a.happened[j]):
		case a.taken[j] < 0:
			a.met[i], a.taken[j] = j, i
			return true
		default:
			occupied = append(occupied, j)
		}
	}
	for _, j := range occupied {
		if a.seen[j] {
			continue
		}
		a.seen[j] = true
		if a.find(a.taken[j]) {
			a.met[i], a.taken[j] = j, i
			return true
		}
	}
	return false
}

// met reports whether something that happened meets a wish.
func (w *wish) met(h *happening) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return h.is(w.List) && same(w.Handler, h.handler) && same(w.Route, h.route) && same(w.Channel, h.channel) &&
		same(w.Type, h.typ) && same(w.ID, h.id) && same(w.Key, h.key) &&
		(w.Attempts == 0 || w.Attempts == h.attempts) && len(h.otherReason(w.Expectation)) == 0 &&
		(w.Message == nil || h.knownMessage.has(h.message, w.message)) && (w.Data == nil || h.knownData.has(h.data, w.data))
}

// nearest is the failure of an expectation, with what comes nearest to it. By tells which
// expectations of the same list are met.
func nearest(w *wish, expected []routesfile.Expectation, happened []happening, by []int) Failure {
	e := w.Expectation
	f := Failure{At: e.At, Problem: "did not happen", Want: wanted(e)}
	best := -1
	for j, h := range happened {
		differs := differences(e, h)
		if !h.is(e.List) {
			differs = slices.Insert(differs, 0, fmt.Sprintf("it was %s, not %s", h.fate(), e.List))
		}
		if len(differs) == 0 && by[j] >= 0 {
			differs = []string{fmt.Sprintf("this meets the expectation at %s already", expected[by[j]].At), ""}
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
		return "still waiting"
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
