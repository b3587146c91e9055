package routesfile

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"signalbox/router"
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
		e.add(one.node, []string{"handlers", one.Name}, append(values, e.optionsOf(one)...))
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

// optionsOf are the options of a handler in the order of its kind's struct. Where a check
// skipped the kind, nobody knows what they mean.
func (e *inForce) optionsOf(one *handler) []EffectiveValue {
	kind, known := e.kinds.Kind(one.Kind)
	if !known {
		var values []EffectiveValue
		for _, child := range one.node.children() {
			if name := child.name(); name != "kind" {
				values = append(values, e.values(child, nil, tomlKey(name), secrecyOf("", name, withoutKeys))...)
			}
		}
		return values
	}
	defaults := reflect.ValueOf(kind.Options()).Elem()
	if defaults.Kind() != reflect.Struct {
		return nil
	}
	var values []EffectiveValue
	for _, field := range fieldsOf(defaults.Type()) {
		name := tagName(field)
		how := secrecyOf(field.Tag.Get("secret"), name, withoutKeys)
		if child := one.node.get(name); child != nil {
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
		return durationText(max(0, p.Timeout)) // less is for ever, which is written 0s
	case "retry.attempts":
		return int64(p.Retry.Attempts)
	case "retry.backoff":
		return durationText(p.Retry.Backoff)
	case "retry.max_backoff":
		return durationText(p.Retry.MaxBackoff)
	case "max_age":
		return durationText(p.MaxAge)
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

// routeTables adds what the routes are after lists are taken apart, with the policy that is
// in force.
func (e *inForce) routeTables() {
	known := make(map[*rawRoute]bool)
	for i := range e.routes {
		known[e.routes[i].raw] = true
	}
	for i := range e.raw.Routes {
		switch raw := &e.raw.Routes[i]; {
		case raw.node == nil || known[raw]:
		case raw.Enabled != nil && !*raw.Enabled:
			e.Off = append(e.Off, raw.node.at.String())
		case raw.node.skips():
			e.Unknown = append(e.Unknown, raw.node.at.String())
		}
	}
	for i := range e.routes {
		r := &e.routes[i]
		n := r.raw.node
		values := []EffectiveValue{
			e.ofRoute(r, "name", r.Name), e.ofRoute(r, "channel", r.Channel),
			e.ofRoute(r, "type", oneOrList(r.Types)), e.ofRoute(r, "handler", r.Handler),
		}
		if when := n.get("when"); when != nil {
			values = append(values, e.value(when, nil, "when", withoutKeys))
		}
		policy := r.Policy.Effective()
		for _, key := range policyKeys() {
			values = append(values, e.ofPolicy(r, key, policyValue(policy, key)))
		}
		values = append(values, e.dedupe(r)...)
		values = append(values, e.deadLetter(r))
		values = append(values, e.isolation(r)...)
		if cycle := n.get("allow_cycle"); cycle != nil {
			values = append(values, e.value(cycle, reflect.TypeFor[bool](), "allow_cycle", withoutPasswords))
		}
		name := r.Name
		if n.get("name") != nil && n.get("name").holdsSecret() {
			name = hidden
		}
		e.add(n, []string{"routes", r.Channel, name}, values)
	}
}

func oneOrList(texts []string) any {
	if len(texts) == 1 {
		return texts[0]
	}
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
}

// ofRoute is a value of a route that its table says, perhaps as one of several.
func (e *inForce) ofRoute(r *route, key string, value any) EffectiveValue {
	n := r.raw.node.get(key)
	if n == nil {
		return e.hiddenLike(implied(key, value), r.raw.node.get("handler")) // the name is the handler's
	}
	v := e.value(n, nil, key, withoutPasswords)
	if !v.Secret && !n.skips() {
		v.Value, v.Text = value, tomlText(value)
	}
	return v
}

// ofPolicy is a value of a route's policy: its own, that of [defaults], its handler's kind's,
// or the default.
func (e *inForce) ofPolicy(r *route, key string, value any) EffectiveValue {
	own, defaults := r.raw.node.deep(key), e.root.get("defaults").deep(key)
	var v EffectiveValue
	switch {
	case own != nil && !own.skipped:
		v = e.value(own, nil, key, withoutPasswords)
	case defaults != nil && !defaults.skipped:
		v = e.value(defaults, nil, key, withoutPasswords)
		v.From = "[defaults]"
	case own != nil || defaults != nil: // skipped
		return e.value(cmp.Or(own, defaults), nil, key, withoutPasswords)
	default:
		v = implied(key, value)
		if kind := e.handlers[r.Handler]; key == "workers" && kind.workers > 0 {
			v.From = `kind "` + kind.Kind + `"`
		}
		return v
	}
	if !v.Secret {
		v.Value, v.Text = value, tomlText(value)
	}
	return v
}

func (e *inForce) dedupe(r *route) []EffectiveValue {
	n := r.raw.node.get("dedupe")
	if n == nil || r.Policy.Dedupe.Window == 0 {
		return nil
	}
	window, by := n, implied("dedupe.by", string(r.Policy.Dedupe.By))
	if n.table != nil {
		window = n.get("window")
		if own := n.get("by"); own != nil {
			by = e.value(own, nil, "dedupe.by", withoutPasswords)
		}
	}
	return []EffectiveValue{e.value(window, nil, "dedupe.window", withoutPasswords), by}
}

// deadLetter is the stream that keeps what the route gives up, or false.
func (e *inForce) deadLetter(r *route) EffectiveValue {
	value := any(false)
	if place, ok := e.config.DeadLettersOf(r.Route); ok {
		value = place.Topic
	}
	v := implied("dead_letter", value)
	own, ofChannel := r.raw.node.get("dead_letter"), e.channels[r.Channel].raw.node.get("dead_letter")
	switch {
	case own != nil:
		v = e.value(own, nil, v.Key, withoutPasswords)
	case ofChannel != nil:
		v = e.value(ofChannel, nil, v.Key, withoutPasswords)
		v.From = `channel "` + r.Channel + `"`
	}
	if !v.Secret && !own.skips() && !ofChannel.skips() {
		v.Value, v.Text = value, tomlText(value)
	}
	return v
}

// isolation is what an isolated route has of its own: a group on a stream, a queue on Pub/Sub.
func (e *inForce) isolation(r *route) []EffectiveValue {
	n := r.raw.node.get("isolated")
	if n == nil || !r.Isolated {
		return nil
	}
	values := []EffectiveValue{e.value(n, reflect.TypeFor[bool](), "isolated", withoutPasswords)}
	ch := e.channels[r.Channel]
	if ch.Transport == router.Stream {
		group := implied("group", ch.Group+"."+r.Name)
		for _, from := range []*node{e.root.get("service").get("name"), ch.raw.node.get("group"), r.raw.node.get("name")} {
			group = e.hiddenLike(group, from)
		}
		return append(values, group)
	}
	fields := reflect.TypeFor[rawChannel]()
	for _, field := range fieldsOf(fields) {
		key := tagName(field)
		if key != "queue" && key != "queue_bytes" && key != "overflow" {
			continue
		}
		if own := r.raw.node.get(key); own != nil {
			values = append(values, e.value(own, field.Type, key, withoutPasswords))
		} else if inherited := ch.raw.node.get(key); inherited != nil {
			v := e.value(inherited, field.Type, key, withoutPasswords)
			v.From = `channel "` + r.Channel + `"`
			values = append(values, v)
		}
	}
	return values
}
