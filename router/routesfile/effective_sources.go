package routesfile

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"signalbox/router/internal/wording"
)

// sourceTables adds the sources, in the order of the files, with those that are off.
func (e *inForce) sourceTables() {
	sources := slices.SortedFunc(maps.Values(e.sources), func(a, b *source) int {
		return cmp.Or(comparePlaces(a.raw.node.place(""), b.raw.node.place("")), strings.Compare(a.Name, b.Name))
	})
	for _, one := range sources {
		n := one.raw.node
		var values []EffectiveValue
		for _, field := range fieldsOf(reflect.TypeFor[rawSource]()) {
			key := tagName(field)
			switch child := n.get(key); {
			case child == nil || child.table != nil: // such a table need not have all its keys
				values = append(values, e.ofSource(one, key, field.Type)...)
			default:
				values = append(values, e.values(child, field.Type, key, withoutPasswords)...)
			}
		}
		var defaults reflect.Value
		if one.kind.Options != nil {
			defaults = reflect.ValueOf(one.kind.Options()).Elem()
		}
		e.add(n, []string{"sources", one.Name}, append(values, e.optionsOf(n, defaults, sourceKeys())...))
	}
}

// ofSource are the values of a key that depend on the rest of the source, and of tables.
func (e *inForce) ofSource(one *source, key string, t reflect.Type) []EffectiveValue {
	var presets []EffectiveValue
	preset := func(key string, value any) { presets = append(presets, implied(key, value)) }
	switch key {
	case "kind":
		preset(key, one.Kind)
	case "enabled":
		preset(key, true)
	case "type_field":
		preset(key, cmp.Or(one.Fields.Type, "type"))
	case "id_field":
		preset(key, cmp.Or(one.Fields.ID, "id"))
	case "time_field":
		preset(key, cmp.Or(one.Fields.Time, "time"))
	case "default_type", "key_field":
		if text := map[string]string{"default_type": one.Fields.DefaultType, "key_field": one.Fields.Key}[key]; text != "" {
			preset(key, text)
		}
	case "takeover_delay":
		preset(key, wording.Duration(one.TakeoverDelay))
	case "connect_budget":
		preset(key+".connects", int64(one.Budget.Connects))
		preset(key+".per", wording.Duration(one.Budget.Per))
	case "seq":
		if one.Sequence != nil {
			preset(key+".per", cmp.Or(one.raw.Seq.Per, "session"))
			if one.Sequence.Previous == "" {
				preset(key+".step", one.Sequence.Step)
			}
		}
	}
	n := one.raw.node.get(key)
	if n == nil {
		return presets
	}
	values := e.values(n, t, key, withoutPasswords)
	for _, preset := range presets {
		if !slices.ContainsFunc(values, func(v EffectiveValue) bool { return v.Key == preset.Key }) {
			values = append(values, preset)
		}
	}
	return values
}
