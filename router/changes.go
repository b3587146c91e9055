package router

import (
	"reflect"
	"slices"
)

// Changes are what a reload changed.
type Changes struct {
	Channels Change // by declared name
	Handlers Change
	Routes   Change // as "channel/route"
}

// Change is what came, went and stayed with another meaning, by name.
type Change struct{ Added, Removed, Changed []string }

// Empty reports whether nothing changed.
func (c Change) Empty() bool { return len(c.Added)+len(c.Removed)+len(c.Changed) == 0 }

// changes compares two setups.
func changes(before, now *setup) Changes {
	return Changes{
		Channels: compare(before.config.Channels, now.config.Channels, func(ch Channel) string { return ch.Name }, sameChannel),
		Handlers: compare(before.handlers, now.handlers, func(h *instance) string { return h.spec.Name },
			func(a, b *instance) bool { return a == b }),
		Routes: compare(before.config.Routes, now.config.Routes, func(r Route) string { return r.Channel + "/" + r.Name }, sameRoute),
	}
}

func compare[T any](before, now []T, name func(T) string, same func(a, b T) bool) (c Change) {
	old := make(map[string]T, len(before))
	for _, one := range before {
		old[name(one)] = one
	}
	for _, one := range now {
		was, ok := old[name(one)]
		switch {
		case !ok:
			c.Added = append(c.Added, name(one))
		case !same(was, one):
			c.Changed = append(c.Changed, name(one))
		}
		delete(old, name(one))
	}
	for gone := range old {
		c.Removed = append(c.Removed, gone)
	}
	slices.Sort(c.Removed)
	return c
}

// sameRoute reports whether two routes are the same. Conditions are functions, so their
// text is compared; without a text nobody knows.
func sameRoute(a, b Route) bool {
	if (a.When == nil) != (b.When == nil) || a.When != nil && (a.WhenText == "" || a.WhenText != b.WhenText) {
		return false
	}
	a.When, b.When = nil, nil
	return reflect.DeepEqual(a, b)
}
