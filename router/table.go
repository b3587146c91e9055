package router

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// table maps a type to the routes that take it. It is immutable.
//
// A type that some pattern names exactly has an entry of its own. Any other type can
// only be told apart by the prefixes it begins with, and the longest of those that
// occur in a pattern implies all the others, so one entry per prefix is enough. A
// look-up thus costs one map access, plus one per distinct length of prefix.
//
// Types that the channel declares have entries, too, for they are counted by themselves.
type table struct {
	exact    map[string]*entry
	prefixes map[string]*entry
	lengths  []int // of the prefixes, longest first
}

// entry is the routes that take a type, and where events of it are counted.
type entry struct {
	routes   []*route
	received *atomic.Uint64
}

// compiled is a route with its types, in the order of the configuration.
type compiled struct {
	route *route
	types TypeSet
}

func newTable(routes []compiled, declared []string, counters *channelCounters) *table {
	others := counters.ofType(OtherTypes)
	t := &table{exact: map[string]*entry{}, prefixes: map[string]*entry{"": {received: others}, OwnPrefix: {received: others}}}
	for _, typ := range declared {
		t.exact[typ] = &entry{received: counters.ofType(typ)}
	}
	for _, c := range routes {
		for _, p := range slices.Concat(c.types.include, c.types.exclude) {
			if p.prefix {
				t.prefixes[p.text] = &entry{received: others}
			} else {
				t.exact[p.text] = &entry{received: counters.ofType(p.text)}
			}
		}
	}
	for prefix := range t.prefixes {
		if !slices.Contains(t.lengths, len(prefix)) {
			t.lengths = append(t.lengths, len(prefix))
		}
	}
	slices.SortFunc(t.lengths, func(a, b int) int { return cmp.Compare(b, a) })
	t.fill(routes)
	return t
}

// fill computes every entry. Only the routes that name an entry, or a prefix of it,
// are compared with it: ten thousand routes must not cost a hundred million comparisons.
func (t *table) fill(routes []compiled) {
	exact, prefixes := map[string][]int{}, map[string][]int{} // places of the routes that include a pattern
	for i, c := range routes {
		for _, p := range c.types.include {
			if p.prefix {
				prefixes[p.text] = append(prefixes[p.text], i)
			} else {
				exact[p.text] = append(exact[p.text], i)
			}
		}
	}
	matching := func(candidates []int, text string, match func(TypeSet) bool) (found []*route) {
		for _, n := range t.lengths {
			if n <= len(text) {
				candidates = append(candidates, prefixes[text[:n]]...)
			}
		}
		slices.Sort(candidates)
		for _, i := range slices.Compact(candidates) {
			if match(routes[i].types) {
				found = append(found, routes[i].route)
			}
		}
		return found
	}
	for typ, of := range t.exact {
		of.routes = matching(slices.Clone(exact[typ]), typ, func(s TypeSet) bool { return s.Match(typ) })
	}
	for prefix, of := range t.prefixes {
		of.routes = matching(nil, prefix, func(s TypeSet) bool { return s.matchPrefix(prefix) })
	}
}

// of returns the entry of a type. Its routes are in the order of the configuration.
func (t *table) of(typ string) *entry {
	if of := t.exact[typ]; of != nil {
		return of
	}
	for _, n := range t.lengths {
		if n <= len(typ) {
			if of := t.prefixes[typ[:n]]; of != nil {
				return of
			}
		}
	}
	return nil // not reached: there is an entry for what begins with nothing
}

// routes returns the routes that take typ.
func (t *table) routes(typ string) []*route { return t.of(typ).routes }
