package routesfile

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"signalbox/router"
	"signalbox/router/internal/wording"
)

// channelTables adds the channels, in the order of the files.
func (e *inForce) channelTables() {
	channels := slices.SortedFunc(maps.Values(e.channels), func(a, b *channel) int {
		return cmp.Or(comparePlaces(a.raw.node.place(""), b.raw.node.place("")), strings.Compare(a.Name, b.Name))
	})
	for _, one := range channels {
		n := one.raw.node
		var values []EffectiveValue
		for _, field := range fieldsOf(reflect.TypeFor[rawChannel]()) {
			key := tagName(field)
			child := n.get(key)
			switch {
			case child == nil:
				values = append(values, e.impliedOf(one, key)...)
			case child.isDefault && !suits(field, one.Transport):
			default:
				values = append(values, e.values(child, field.Type, key, withoutPasswords)...)
			}
		}
		e.add(n, []string{"channels", one.Name}, values)
	}
}

// suits reports whether a channel of a transport has the key.
func suits(field reflect.StructField, transport router.Transport) bool {
	_, not := field.Tag.Lookup("not" + string(transport))
	not = not || tagName(field) == "start" && transport == router.PubSub // it begins with what comes
	return !not
}

// impliedOf is the default of a key that depends on the rest of the channel.
func (e *inForce) impliedOf(one *channel, key string) []EffectiveValue {
	switch {
	case key == "name" && !one.Pattern:
		return []EffectiveValue{implied(key, one.Topic)}
	case key == "group" && one.Transport == router.Stream:
		return []EffectiveValue{e.hiddenLike(implied(key, one.Group), e.root.get("service").get("name"))}
	case key == "dead_letter":
		return []EffectiveValue{implied(key, one.Transport == router.Stream)}
	}
	return nil
}

// handlerTables adds the handlers: those that are declared, in the order of the files, then
// the kinds that routes name.
func (e *inForce) handlerTables() {
	handlers := slices.SortedFunc(maps.Values(e.handlers), func(a, b *handler) int {
		return cmp.Or(boolCompare(a.node == nil, b.node == nil), comparePlaces(a.node.place(""), b.node.place("")), strings.Compare(a.Name, b.Name))
	})
	for _, one := range handlers {
		values := []EffectiveValue{implied("kind", one.Kind)}
		if n := one.node.get("kind"); n != nil {
			values[0] = e.value(n, nil, "kind", withoutPasswords)
		}
		var defaults reflect.Value
		if kind, known := e.kinds.Kind(one.Kind); known {
			defaults = reflect.ValueOf(kind.Options()).Elem()
		}
		e.add(one.node, []string{"handlers", one.Name}, append(values, e.optionsOf(one.node, defaults, []string{"kind"})...))
	}
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// optionsOf are the options in n, the table of a handler or a source, in the order of its
// kind's struct, which defaults is. Where a check skipped the kind, nobody knows what they
// mean. Common are the keys that are no options.
func (e *inForce) optionsOf(n *node, defaults reflect.Value, common []string) []EffectiveValue {
	var values []EffectiveValue
	if !defaults.IsValid() {
		for _, child := range n.children() {
			if name := child.name(); !slices.Contains(common, name) {
				values = append(values, e.values(child, nil, tomlKey(name), secrecyOf("", name, withoutKeys))...)
			}
		}
		return values
	}
	if defaults.Kind() != reflect.Struct {
		return nil
	}
	for _, field := range fieldsOf(defaults.Type()) {
		name := tagName(field)
		how := secrecyOf(field.Tag.Get("secret"), name, withoutKeys)
		if child := n.get(name); child != nil {
			values = append(values, e.values(child, field.Type, tomlKey(name), how)...)
		} else if value := optionDefault(defaults.FieldByIndex(field.Index)); value != nil {
			if text, ok := value.(string); ok {
				value = e.censor.show(text, how)
			} else if how > withoutKeys {
				value = hidden
			}
			values = append(values, implied(tomlKey(name), value))
		}
	}
	return values
}

// defaultsTable adds [defaults] with what routes have that say nothing.
func (e *inForce) defaultsTable() {
	n := e.root.get("defaults")
	var values []EffectiveValue
	for _, key := range policyKeys() {
		if child := n.deep(key); child != nil {
			values = append(values, e.value(child, nil, key, withoutPasswords))
		} else {
			values = append(values, implied(key, policyValue(router.Policy{}.Effective(), key)))
		}
	}
	e.add(n, []string{"defaults"}, values)
}

// policyKeys are the keys that routes inherit from [defaults].
func policyKeys() []string {
	return []string{"timeout", "retry.attempts", "retry.backoff", "retry.max_backoff", "max_age", "workers"}
}

// policyValue is what a policy has under a key, as a file would have it.
func policyValue(p router.Policy, key string) any {
	switch key {
	case "timeout":
		return wording.Duration(max(0, p.Timeout)) // less is for ever, which is written 0s
	case "retry.attempts":
		return int64(p.Retry.Attempts)
	case "retry.backoff":
		return wording.Duration(p.Retry.Backoff)
	case "retry.max_backoff":
		return wording.Duration(p.Retry.MaxBackoff)
	case "max_age":
		return wording.Duration(p.MaxAge)
	default:
		return int64(p.Workers)
	}
}

// deep is the value of a key that may have a dot.
func (n *node) deep(key string) *node {
	for part := range strings.SplitSeq(key, ".") {
		n = n.get(part)
	}
	return n
}
