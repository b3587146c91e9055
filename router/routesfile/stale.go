package routesfile

import (
	"reflect"
	"time"

	"signalbox/router"
)

// staleAfter is what a channel or a source says under stale_after: how long nothing may
// come, or a table that tells all messages and those of a key apart. The zero value is
// that nothing was said.
type staleAfter struct {
	located
	Any    time.Duration `toml:"any" min:"10ms" max:"720h" otherwise:"for ever" doc:"how long no message at all may come"`
	PerKey time.Duration `toml:"per_key" min:"10ms" max:"720h" otherwise:"for ever" doc:"how long no message of a key may come that has come before"`
}

func (s *staleAfter) decodeNode(d *decoder, n *node) {
	s.locate(n)
	if n.table == nil {
		all, _ := reflect.TypeFor[staleAfter]().FieldByName("Any")
		d.field(n, reflect.ValueOf(&s.Any).Elem(), all)
		return
	}
	d.table(n, reflect.ValueOf(s).Elem())
	if n.get("any") == nil && n.get("per_key") == nil {
		d.failf(n, `says nothing; write "5s", or any, per_key or both: { any = "30s", per_key = "5s" }`)
	}
}

func (*staleAfter) shape() shape {
	s := durationShape()
	s.words, s.schema["type"], s.fields = "duration or table", []any{"string", "object"}, reflect.TypeFor[staleAfter]()
	return s
}

// limits are how long nothing may come.
func (s *staleAfter) limits() router.StaleAfter {
	return router.StaleAfter{Any: s.Any, PerKey: s.PerKey}
}

// checkPerKey reports per_key of n, a channel or a source, whose messages have no key.
func (s *staleAfter) checkPerKey(r *report, n *node, hasKey bool) {
	if s.PerKey > 0 && !hasKey && !n.get("key_field").skips() {
		r.errorf(s.node.place("per_key"), "%s: stale_after has per_key, but its messages have no key; write key_field, such as key_field = \"data.symbol\"", n.subject())
	}
}
