package routesfile

import (
	"fmt"

	"signalbox/router"
	"signalbox/router/internal/wording"
)

// isolate gives a route what its table says of its subscription.
func (e *expander) isolate(r *route, to *channel) {
	r.Isolated = r.raw.Isolated
	if to.Transport == router.PubSub {
		r.Queue, r.QueueBytes, r.Overflow = r.raw.Queue, int(r.raw.QueueBytes), router.Overflow(r.raw.Overflow)
	}
}

// checkQueue reports the keys of a queue that the route has not.
func (e *expander) checkQueue(raw *rawRoute, channels []*channel) {
	n := raw.node
	streams := 0
	for _, to := range channels {
		if to.Transport == router.Stream {
			streams++
		}
	}
	for _, key := range []string{"queue", "queue_bytes", "overflow"} {
		switch {
		case !n.written(key):
		case !raw.Isolated && n.get("isolated").skips():
		case !raw.Isolated:
			e.report.errorf(n.get(key).key, "%s: %s is for an isolated route, which has a queue of its own; write isolated = true, or %[2]s in the channel", n.subject(), key)
		case streams > 0 && streams == len(channels):
			e.report.errorf(n.get(key).key, "%s: %s is not for a stream: it waits in Redis; remove it", n.subject(), key)
		}
	}
	for _, to := range channels {
		if raw.Isolated && to.Transport == router.PubSub {
			e.checkOverflow(n, raw.Overflow, to)
		}
		if raw.QueueBytes > 0 && raw.QueueBytes < to.raw.MaxBytes && to.Transport == router.PubSub {
			e.report.errorf(n.place("queue_bytes"), "%s: queue_bytes is less than max_bytes of channel %q, so that a message of that size would never fit; raise queue_bytes or lower max_bytes", n.subject(), to.Name)
			return
		}
	}
}

// checkIsolated reports isolated routes whose name, and with it their group in Redis,
// would change when a route is added before them, and those whose group is taken.
func (e *expander) checkIsolated() {
	type reader struct{ topic, group string }
	readers := make(map[reader]string)
	for name, ch := range e.channels {
		if ch.Transport == router.Stream {
			readers[reader{ch.Topic, ch.Group}] = fmt.Sprintf("channel %q", name)
		}
	}
	for i := range e.routes {
		r := &e.routes[i]
		if !r.Isolated {
			continue
		}
		n := r.raw.node
		if r.raw.Name == "" && e.unnamed[[2]string{r.Channel, r.Handler}] > 1 {
			e.report.errorf(n.get("isolated").key, "%s: is isolated, and channel %q has several routes to %q without a name, so that its own, %q, would change with their order; write name = \"…\"",
				n.subject(), r.Channel, r.Handler, r.Name)
			continue
		}
		ch := e.channels[r.Channel]
		if ch.Transport != router.Stream {
			continue
		}
		own := reader{ch.Topic, ch.Group + "." + r.Name}
		if other := readers[own]; other != "" {
			e.report.errorf(n.place("name"), "%s: is isolated, so it reads the stream %q as group %q, and so does %s; two readers of a group take entries from each other: give this route another name",
				n.subject(), ch.Topic, own.group, other)
			continue
		}
		readers[own] = n.subject()
	}
}

// adviseIsolation warns of routes that work for a target that may be away and share a
// stream's subscription with routes of other handlers: those would wait, too.
func (e *expander) adviseIsolation() {
	sharing := make(map[string]map[string]int) // plain routes by channel and handler
	all := make(map[string]int)                // plain routes by channel
	for _, r := range e.routes {
		if r.Isolated {
			continue
		}
		if sharing[r.Channel] == nil {
			sharing[r.Channel] = make(map[string]int)
		}
		sharing[r.Channel][r.Handler]++
		all[r.Channel]++
	}
	told := make(map[place]bool)
	for _, r := range e.routes {
		others := all[r.Channel] - sharing[r.Channel][r.Handler]
		if r.Isolated || others < 1 || told[r.at] || r.raw.node.written("isolated") || !e.handlers[r.Handler].target || e.channels[r.Channel].Transport != router.Stream {
			continue
		}
		told[r.at] = true
		e.report.warnf(r.at, "%s: handler %q works for a target that may be away, and shares the subscription of stream %q with %s; while the target is away these wait as soon as in_flight events do; isolated = true gives the route its own, and isolated = false says that this is meant",
			r.raw.node.subject(), r.Handler, r.Channel, wording.Count(others, "other route"))
	}
}
