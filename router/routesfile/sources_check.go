package routesfile

import (
	"cmp"
	"maps"
	"slices"

	"signalbox/router"
)

// checkSource reports what a source and its channel don't have in common.
func (c *compiler) checkSource(one *source, to *channel) {
	raw, n := one.raw, one.raw.node
	fail := func(key, format string, args ...any) {
		c.report.errorf(n.place(key), "%s: "+format, append([]any{n.subject()}, args...)...)
	}
	if typ := raw.DefaultType; typ != "" && !to.open && len(to.Types) > 0 && !slices.Contains(to.Types, typ) {
		fail("default_type", "default_type %s is not one of the types of channel %q%s", n.get("default_type").quoted(typ), to.Name, didYouMean(typ, "types", to.Types))
	}
	if to.Fields.Split != "" {
		fail("channel", "channel %q has split, and a source publishes messages one by one; write split here, and remove it there", to.Name)
	}
	if raw.Raw {
		c.checkRaw(one, to)
	}
	hasKey := one.Fields.Key != "" || n.get("key_field").skips() || to.raw.node.get("key_field").skips()
	raw.StaleAfter.checkPerKey(c.report, n, hasKey)
	if one.Sequence != nil && one.Sequence.PerKey && !hasKey {
		c.report.errorf(raw.Seq.node.place("per"), `%s: seq: per = "key", but its messages have no key; write key_field, such as key_field = "symbol"`, n.subject())
	}
	if most := to.Fields.MaxBytes; raw.QueueBytes > 0 && int(raw.QueueBytes) < most {
		fail("queue_bytes", "queue_bytes is less than max_bytes of channel %q, so that a message of that size would never fit; raise queue_bytes, or lower max_bytes there", to.Name)
	}
}

// checkRaw reports a type that readers of the channel would not find where the source has it.
func (c *compiler) checkRaw(one *source, to *channel) {
	n, there := one.raw.node, to.raw.node
	sure := func(key string) bool { return !n.get(key).skips() && !there.get(key).skips() }
	own, theirs := cmp.Or(one.Fields.Type, "type"), cmp.Or(to.Fields.Type, "type")
	if own != theirs && sure("type_field") {
		c.report.errorf(n.place("type_field"), "%s: raw = true publishes messages as they arrived, with their type at %q, and channel %q looks for it at %q; write type_field = %q in [channels.%s], or remove raw",
			n.subject(), own, to.Name, theirs, own, to.Name)
	}
	if typ := one.Fields.DefaultType; typ != to.Fields.DefaultType && sure("default_type") {
		c.report.errorf(n.place("default_type"), "%s: raw = true publishes messages as they arrived, and what has no type there gets it from the channel; write default_type = %q in [channels.%s], or remove raw",
			n.subject(), typ, to.Name)
	}
}

// checkPauses reports a pause that is longer than the longest.
func (c *compiler) checkPauses(raw *rawSource) {
	n := raw.node
	if raw.MaxBackoff >= raw.Backoff || n.get("backoff").skips() || n.get("max_backoff").skips() || raw.MaxBackoff == 0 {
		return
	}
	key := "max_backoff"
	if !n.written(key) {
		key = "backoff"
	}
	c.report.errorf(n.place(key), "%s: max_backoff %v is shorter than backoff %v; it is the longest pause", n.subject(), raw.MaxBackoff, raw.Backoff)
}

// warnAllOff tells that there are neither routes nor sources that are on.
func (c *compiler) warnAllOff() {
	for _, one := range c.sources {
		if !one.off {
			return
		}
	}
	first := slices.Min(slices.Collect(maps.Keys(c.sources)))
	c.report.warnf(c.sources[first].raw.node.place("enabled"), "there is no route, and every source says enabled = false: nothing will be published or handled")
}

// warnSources tells what of sources is hardly meant.
func (w *warnings) warnSources() {
	for _, one := range w.sources {
		n, to := one.raw.node, w.channels[one.Channel]
		for _, key := range []string{"conflict", "lease_for", "takeover_delay"} {
			if !one.Lease && n.written(key) && !n.get("lease").skips() {
				w.report.warnf(n.place(key), "%s: %s is for a source that one process at a time connects, and with lease = false each of them does; remove one of them", n.subject(), key)
			}
		}
		if to == nil {
			continue
		}
		if n.written("hours") && to.StaleAfter == (router.StaleAfter{}) && !n.get("stale_after").skips() && !to.raw.node.get("stale_after").skips() {
			w.report.warnf(n.place("hours"), "%s: hours says when data is to be expected, and nothing says how long it may stay away; write stale_after = \"30s\" beside it", n.subject())
		}
		w.warnSameChannel(one, to)
	}
}

// warnSameChannel tells that an earlier source publishes to the same channel.
func (w *warnings) warnSameChannel(one *source, to *channel) {
	at := one.raw.node.place("channel")
	for _, other := range to.sources {
		if other == one || one.off || one.raw.node.get("enabled").skips() {
			return
		}
		if before := other.raw.node; !other.off && !before.get("enabled").skips() {
			w.report.warnf(at, "%s: publishes to channel %q, and so does %s (%s): each has epoch and seq of its own, and who reads both on one channel cannot tell by them what is missing; give each a channel",
				one.raw.node.subject(), to.Name, before.subject(), before.place("channel").lineIn(at.file))
			return
		}
	}
}
