package routesfile

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"signalbox/router"
	"signalbox/router/internal/nearest"
)

// transportHelp explains the two transports to who has not chosen yet.
const transportHelp = `
  transport = "pubsub"   now or never: who listens gets it, every replica of its own; for prices and status
  transport = "stream"   kept until every group has handled it, replicas share the work; for commands and orders`

// channel is a declared channel with where it is written.
type channel struct {
	router.Channel
	raw *rawChannel
	// open is set when its types are not known whole, so that nothing is checked against them.
	open   bool
	sorted []string // its types
	read   bool     // a route reads it, or would if it were not off

	sources []*source // that publish to it, those that are off included
}

func (c *compiler) compileChannels() {
	c.channels = make(map[string]*channel, len(c.raw.Channels))
	for _, name := range slices.Sorted(maps.Keys(c.raw.Channels)) {
		raw := c.raw.Channels[name]
		one := &channel{raw: raw, open: true}
		one.Name = name
		c.channels[name] = one
		if raw.node != nil {
			c.report.checkName(raw.node.key, "channel", name)
			c.compileChannel(one)
		}
	}
	c.checkSameRedisName()
	c.checkDeadLetters()
}

func (c *compiler) compileChannel(one *channel) {
	raw := one.raw
	c.checkTransport(raw)
	c.checkPattern(raw)
	one.Transport = router.Transport(raw.Transport)
	one.Description = raw.Description
	one.Topic, one.Pattern = cmp.Or(raw.Pattern, raw.Name, one.Name), raw.Pattern != ""
	one.Types, one.open = c.declaredTypes(raw)
	one.sorted = slices.Sorted(slices.Values(one.Types))
	one.Schemas = c.schemasOf(one)
	one.InFlight = raw.InFlight
	one.Fields = router.Fields{
		Type:        string(raw.TypeField),
		DefaultType: raw.DefaultType,
		ID:          string(raw.IDField),
		Time:        string(raw.TimeField),
		Key:         string(raw.KeyField),
		KeyFromName: one.Pattern && raw.KeyField == "" && !raw.node.written("key_field"),
		Seq:         string(raw.SeqField),
		Split:       string(raw.Split),
		MaxBytes:    int(raw.MaxBytes),
	}
	switch one.Transport {
	case router.PubSub:
		one.Queue, one.QueueBytes = raw.Queue, int(raw.QueueBytes)
		one.Start = c.pubsubStart(raw)
		if raw.QueueBytes > 0 && raw.QueueBytes < raw.MaxBytes {
			c.report.errorf(raw.node.place("queue_bytes"), "%s: queue_bytes is less than max_bytes, so that a message of that size would never fit; raise queue_bytes or lower max_bytes", raw.node.subject())
		}
		one.Overflow = router.Overflow(raw.Overflow)
		c.checkOverflow(raw.node, raw.Overflow, one)
	case router.Stream:
		if raw.Start == string(router.StartLatest) {
			c.report.errorf(raw.node.place("start"), "%s: start = \"latest\" is for a pubsub channel; a stream keeps its events itself: write \"oldest\" or \"new\"", raw.node.subject())
		}
		one.Group = cmp.Or(raw.Group, c.raw.Service.Name)
		one.Start, one.MaxLen, one.ClaimAfter = router.Start(raw.Start), raw.MaxLen, raw.ClaimAfter
		one.MaxDeliveries = raw.MaxDeliveries
	}
	if typ := raw.DefaultType; typ != "" && !one.open && len(one.Types) > 0 && !slices.Contains(one.Types, typ) {
		c.report.errorf(raw.node.place("default_type"), "%s: default_type %q is not in its types%s", raw.node.subject(), typ, didYouMean(typ, "types", one.Types))
	}
}

// pubsubStart is where a Pub/Sub channel begins: with what is kept elsewhere, or nowhere.
func (c *compiler) pubsubStart(raw *rawChannel) router.Start {
	switch n := raw.node; {
	case !n.written("start"):
	case raw.Start != string(router.StartLatest):
		c.report.errorf(n.place("start"), "%s: start = %q is for a stream, which keeps old messages to start with; a pubsub channel may have \"latest\": it then begins with the newest event of each key, as handlers of the kind latest keep them", n.subject(), raw.Start)
	case raw.Pattern != "":
		c.report.errorf(n.place("start"), "%s: start = \"latest\" needs one name, and this is the pattern %q; declare a channel with name for it", n.subject(), raw.Pattern)
	default:
		return router.StartLatest
	}
	return ""
}

// checkTransport reports a missing or unknown transport, and keys that a channel of
// its transport has not.
func (c *compiler) checkTransport(raw *rawChannel) {
	n := raw.node
	value := n.get("transport")
	switch {
	case value == nil:
		c.report.errorf(n.key, "%s: transport is missing; choose one:%s", n.subject(), transportHelp)
		return
	case value.skipped || value.value != raw.Transport:
		return
	case raw.Transport != "pubsub" && raw.Transport != "stream":
		hint := ""
		if near, ok := nearest.Name(raw.Transport, []string{"pubsub", "stream"}); ok {
			hint = `; did you mean "` + near + `"?`
		}
		c.report.errorf(value.at, "%s: unknown transport %s%s\nThere are two:%s", n.subject(), value.quoted(raw.Transport), hint, transportHelp)
		return
	}
	for _, field := range fieldsOf(reflect.TypeFor[rawChannel]()) {
		key := tagName(field)
		if why, not := field.Tag.Lookup("not" + raw.Transport); not && n.written(key) {
			c.report.errorf(n.get(key).key, "%s: %s is not for a %s channel: %s; remove it", n.subject(), key, raw.Transport, why)
		}
	}
}

func (c *compiler) checkPattern(raw *rawChannel) {
	n := raw.node
	if n.written("pattern") && n.written("name") {
		c.report.errorf(n.get("name").key, "%s: has both name and pattern; a pattern is the name in Redis, so remove name", n.subject())
	}
	if raw.Pattern != "" && !strings.ContainsAny(raw.Pattern, "*?[") {
		c.report.errorf(n.place("pattern"), "%s: pattern %q has no * or ?; write name = %q for a single name", n.subject(), raw.Pattern, raw.Pattern)
	}
	for _, key := range []string{"name", "pattern", "group"} {
		if value := n.get(key); value != nil && value.value == "" && !value.skipped {
			c.report.errorf(value.at, "%s: %s is empty; remove it for the default", n.subject(), key)
		}
	}
}

// declaredTypes are the types of a channel; open when they are not all known.
func (c *compiler) declaredTypes(raw *rawChannel) (types []string, open bool) {
	for _, declared := range raw.Types.all {
		switch typ := declared.text; {
		case strings.ContainsAny(typ, "*!"):
			c.report.errorf(declared.node.at, "%s: types: %q is a pattern; list the types one by one, or leave types out", raw.node.subject(), typ)
			open = true
		case strings.HasPrefix(typ, router.OwnPrefix):
			c.report.errorf(declared.node.at, "%s: types: %q belongs to Signalbox, which sends it by itself; remove it", raw.node.subject(), typ)
		default:
			types = append(types, typ)
		}
	}
	return types, open || raw.Types.partial || raw.node.get("types").skips()
}

// checkSameRedisName reports channels that would read the same messages as one
// consumer: two subscriptions of a name, or two readers of one group.
func (c *compiler) checkSameRedisName() {
	type reader struct {
		transport    router.Transport
		topic, group string
		pattern      bool
	}
	first := make(map[reader]*channel)
	ordered := slices.SortedFunc(maps.Values(c.channels), func(a, b *channel) int {
		return comparePlaces(a.raw.node.place(""), b.raw.node.place(""))
	})
	for _, one := range ordered {
		n := one.raw.node
		if one.Transport != router.PubSub && one.Transport != router.Stream || n.get("name").skips() || n.get("pattern").skips() || n.get("group").skips() {
			continue
		}
		key := reader{one.Transport, one.Topic, one.Group, one.Pattern}
		if service := c.raw.Service.node; one.raw.Group == "" && service.get("name").skips() {
			key.group = "" // whatever the service is called
		}
		earlier, taken := first[key]
		switch {
		case !taken:
			first[key] = one
		case one.Transport == router.Stream:
			c.report.errorf(n.key, "%s: reads the stream %q as group %q, and so does channel %q (%s); two readers of a group take entries from each other: use one channel, or give one another group",
				n.subject(), one.Topic, one.Group, earlier.Name, earlier.raw.node.key.lineIn(n.key.file))
		default:
			c.report.errorf(n.key, "%s: its name in Redis is %q, and so is that of channel %q (%s); use one channel, with several routes",
				n.subject(), one.Topic, earlier.Name, earlier.raw.node.key.lineIn(n.key.file))
		}
	}
}
