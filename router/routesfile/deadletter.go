package routesfile

import (
	"maps"
	"slices"

	"signalbox/router"
)

// deadLetter says where what is given up is kept: false, true or a channel.
type deadLetter struct {
	router.DeadLetter
	node *node // nil: not written, or not known
}

func (l *deadLetter) decodeNode(d *decoder, n *node) {
	if on, ok := n.boolean(); ok {
		l.On, l.Off, l.node = on, !on, n
		return
	}
	name, ok := n.value.(string)
	switch {
	case !ok:
		d.failf(n, "want true, false or the name of a channel, have %s", n.kind())
	case name == "" || name == "true" || name == "false":
		d.failf(n, "want true, false or the name of a channel, have %s%s", n.quoted(name), n.unquote("true", "false"))
	default:
		l.Channel, l.node = name, n
	}
}

// checkDeadLetters checks what channels say about dead letters.
func (c *compiler) checkDeadLetters() {
	for _, name := range slices.Sorted(maps.Keys(c.channels)) {
		one := c.channels[name]
		n := one.raw.node
		if n == nil {
			continue
		}
		one.KeepUnmatched = one.raw.Unmatched == "dead_letter"
		if c.checkDeadLetter(n, one.raw.DeadLetter, one) {
			one.DeadLetter = one.raw.DeadLetter.DeadLetter
		}
		kept := one.DeadLetter.On || one.DeadLetter.Channel != "" || one.Transport == router.Stream && !one.DeadLetter.Off
		if one.KeepUnmatched && !kept && n.get("dead_letter") == nil {
			c.report.errorf(n.place("unmatched"), `%s: unmatched = "dead_letter", and this channel keeps no dead letters; write dead_letter = true beside it`, n.subject())
		} else if one.KeepUnmatched && one.DeadLetter.Off {
			c.report.errorf(n.place("unmatched"), `%s: unmatched = "dead_letter", and dead_letter = false; remove one of them`, n.subject())
		}
	}
}

// checkDeadLetter reports a place that cannot keep the dead letters of a channel.
// Subject is the channel or route that says it.
func (c *compiler) checkDeadLetter(subject *node, set deadLetter, from *channel) (ok bool) {
	if set.node == nil {
		return false
	}
	to := c.channels[set.Channel]
	fail := func(format string, args ...any) bool {
		c.report.errorf(set.node.at, "%s: dead_letter: "+format, append([]any{subject.subject()}, args...)...)
		return false
	}
	switch {
	case set.On && from.Pattern:
		return fail("channel %q is the pattern %q, which has no one stream beside it; name a declared stream for its dead letters", from.Name, from.Topic)
	case set.Channel == "":
		return true
	case to == nil:
		return fail("unknown channel %s%s", set.node.quoted(set.Channel), didYouMean(set.Channel, "channels", slices.Collect(maps.Keys(c.channels))))
	case to.Transport == router.PubSub:
		return fail("channel %q is pubsub and keeps nothing; name a stream", to.Name)
	case to.Transport == router.Stream && from.Transport == router.Stream && to.Topic == from.Topic:
		return fail("the letters would come back to channel %q; name another stream, or write true for the stream %q", from.Name, from.Topic+".dead")
	}
	return to.Transport == router.Stream // else its own error tells
}
