package router

import (
	"cmp"
	"slices"
)

// table maps a type to the routes that take it. It is immutable.
//
// A type that some pattern names exactly has an entry of its own. Any other type can
// only be told apart by the prefixes it begins with, and the longest of those that
// occur in a pattern implies all the others, so one entry per prefix is enough. A
// look-up thus costs one map access, plus one per distinct length of prefix.
type table struct {
	exact    map[string][]*route
	prefixes map[string][]*route
	lengths  []int // of the prefixes, longest first
}

// compiled is a route with its types, in the order of the configuration.
type compiled struct {
	route *route
	types TypeSet
}

func newTable(routes []compiled) *table {
	t := &table{exact: map[string][]*route{}, prefixes: map[string][]*route{"": nil, ownPrefix: nil}}
	for _, c := range routes {
		for _, p := range slices.Concat(c.types.include, c.types.exclude) {
			if p.prefix {
				t.prefixes[p.text] = nil
			} else {
				t.exact[p.text] = nil
			}
		}
	}
	t.fill(routes)
	for prefix := range t.prefixes {
		if !slices.Contains(t.lengths, len(prefix)) {
			t.lengths = append(t.lengths, len(prefix))
		}
	}
	slices.SortFunc(t.lengths, func(a, b int) int { return cmp.Compare(b, a) })
	return t
}

// fill computes every entry. Routes that name one type only, the usual case, go
// straight to their entry: ten thousand of them must not cost a hundred million
// comparisons.
func (t *table) fill(routes []compiled) {
	var broad []compiled
	order := make(map[*route]int, len(routes))
	for i, c := range routes {
		order[c.route] = i
		if typ, ok := c.types.single(); ok {
			t.exact[typ] = append(t.exact[typ], c.route)
		} else {
			broad = append(broad, c)
		}
	}
	if len(broad) == 0 {
		return
	}
	for typ := range t.exact {
		t.exact[typ] = append(t.exact[typ], matching(broad, typ)...)
		slices.SortStableFunc(t.exact[typ], func(a, b *route) int { return cmp.Compare(order[a], order[b]) })
	}
	for prefix := range t.prefixes {
		// No pattern names prefix+"\x00" exactly, and its longest prefix is this one.
		t.prefixes[prefix] = matching(broad, prefix+"\x00")
	}
}

func matching(routes []compiled, typ string) []*route {
	var found []*route
	for _, c := range routes {
		if c.types.Match(typ) {
			found = append(found, c.route)
		}
	}
	return found
}

// routes returns the routes that take typ, in the order of the configuration.
func (t *table) routes(typ string) []*route {
	if routes, ok := t.exact[typ]; ok {
		return routes
	}
	for _, n := range t.lengths {
		if n <= len(typ) {
			if routes, ok := t.prefixes[typ[:n]]; ok {
				return routes
			}
		}
	}
	return nil
}

// single returns the only type of the set, if it is written as one exact type.
func (s TypeSet) single() (string, bool) {
	if len(s.include) == 1 && len(s.exclude) == 0 && !s.include[0].prefix {
		return s.include[0].text, true
	}
	return "", false
}
