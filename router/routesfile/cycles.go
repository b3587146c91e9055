package routesfile

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"signalbox/router"
	"signalbox/router/internal/glob"
)

// cycles looks for events that would travel in circles: published, by the handler of
// a route, to a Redis name that leads back to that route. Its graph has the channels
// and, between them, what is published to: a target leads to all that read its name.
type cycles struct {
	*compiler
	edges map[stop][]edge
	state map[stop]int
	trail []stop
}

// stop is a channel as it is read, or as it is published to.
type stop struct {
	channel   string
	published bool
}

// edge is a way from one stop to the next, which a route opens.
type edge struct {
	to    stop
	route *route
}

const (
	visiting = iota + 1
	visited
)

// checkCycles reports every cycle of channels on which no route allows it.
func (c *compiler) checkCycles() {
	g := &cycles{compiler: c, edges: make(map[stop][]edge), state: make(map[stop]int)}
	for i := range c.routes {
		r := &c.routes[i]
		if r.raw.AllowCycle || r.raw.node.get("allow_cycle").skips() {
			continue
		}
		for _, name := range c.targets(r) {
			if to := c.channels[name]; to != nil {
				from, target := stop{channel: r.Channel}, stop{name, true}
				g.edges[from] = append(g.edges[from], edge{target, r})
				if _, known := g.edges[target]; !known {
					g.edges[target] = c.receivers(to)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.channels)) {
		if from := (stop{channel: name}); g.state[from] == 0 {
			g.visit(from, nil)
		}
	}
}

// targets are the channels that a route's events, or its dead letters, may go to.
func (c *compiler) targets(r *route) []string {
	names := c.handlers[r.Handler].PublishesTo
	dead := cmp.Or(r.Policy.DeadLetter, c.channels[r.Channel].DeadLetter)
	if dead.Channel != "" {
		names = append(slices.Clone(names), dead.Channel)
	}
	return names
}

// receivers are the channels that get what is published to a channel: itself, and
// those that read the same Redis name by a pattern or in another group.
func (c *compiler) receivers(to *channel) []edge {
	var found []edge
	for _, name := range slices.Sorted(maps.Keys(c.channels)) {
		one := c.channels[name]
		same := one.Topic == to.Topic && one.Pattern == to.Pattern
		byPattern := one.Transport == router.PubSub && one.Pattern && glob.Match(one.Topic, to.Topic)
		if one.Transport == to.Transport && (same || byPattern) {
			found = append(found, edge{to: stop{channel: name}})
		}
	}
	return found
}

// visit follows all ways from a stop; by is the route that led to it.
func (g *cycles) visit(from stop, by *route) {
	g.state[from] = visiting
	g.trail = append(g.trail, from)
	for _, e := range g.edges[from] {
		route := cmp.Or(e.route, by)
		switch g.state[e.to] {
		case visiting:
			g.found(e.to, route)
		case visited:
		default:
			g.visit(e.to, route)
		}
	}
	g.trail = g.trail[:len(g.trail)-1]
	g.state[from] = visited
}

func (g *cycles) found(end stop, by *route) {
	from := slices.Index(g.trail, end)
	var circle []string
	for _, at := range append(slices.Clone(g.trail[from:]), end) {
		circle = append(circle, at.channel)
	}
	if same := slices.Compact(slices.Clone(circle)); len(same) > 1 {
		circle = same // a target and the channel itself
	} else {
		circle = circle[:2]
	}
	g.report.errorf(by.at, "%s: its events would travel in a circle: %s; publish elsewhere, or write allow_cycle = true in a route of the circle",
		by.raw.node.subject(), strings.Join(circle, " -> "))
}
