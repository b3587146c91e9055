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
	values := []EffectiveValue{}
	n := one.raw.node.get(key)
	if n != nil {
		values = e.values(n, t, key, withoutPasswords)
	}
	for _, preset := range e.presetsOf(one, key) {
		if !slices.ContainsFunc(values, func(v EffectiveValue) bool { return v.Key == preset.Key }) {
			values = append(values, preset)
		}
	}
	return values
}

// presetsOf is what holds of a key, and of those in its table, where the source says nothing.
func (e *inForce) presetsOf(one *source, key string) []EffectiveValue {
	switch key {
	case "kind":
		return []EffectiveValue{implied(key, one.Kind)}
	case "enabled":
		return []EffectiveValue{implied(key, true)}
	case "type_field":
		return e.inherited(one, key, cmp.Or(one.Fields.Type, "type"))
	case "default_type":
		return e.inherited(one, key, one.Fields.DefaultType)
	case "id_field":
		return e.inherited(one, key, cmp.Or(one.Fields.ID, "id"))
	case "time_field":
		return e.inherited(one, key, cmp.Or(one.Fields.Time, "time"))
	case "key_field":
		return e.inherited(one, key, one.Fields.Key)
	case "takeover_delay":
		return []EffectiveValue{implied(key, wording.Duration(one.TakeoverDelay))}
	case "connect_budget":
		return []EffectiveValue{
			implied(key+".connects", int64(one.Budget.Connects)),
			implied(key+".per", wording.Duration(one.Budget.Per)),
		}
	}
	if key != "seq" || one.Sequence == nil {
		return nil
	}
	presets := []EffectiveValue{implied(key+".per", cmp.Or(one.raw.Seq.Per, "session"))}
	if one.Sequence.Previous == "" {
		presets = append(presets, implied(key+".step", one.Sequence.Step))
	}
	return presets
}

// inherited is a value that may be the channel's: see source.inherit.
func (e *inForce) inherited(one *source, key, value string) []EffectiveValue {
	to := e.channels[one.Channel]
	switch {
	case value == "":
		return nil
	case to == nil || !to.raw.node.written(key) || !one.Raw && key != "key_field":
		return []EffectiveValue{implied(key, value)}
	}
	v := e.value(to.raw.node.get(key), nil, key, withoutPasswords)
	v.From = `channel "` + to.Name + `"`
	if !v.Secret {
		v.Value, v.Text = value, tomlText(value)
	}
	return []EffectiveValue{v}
}
