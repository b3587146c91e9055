package routesfile

import (
	"cmp"
	"reflect"

	"signalbox/router"
)

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
