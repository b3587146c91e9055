package daemon

import (
	"fmt"
	"slices"
	"strings"

	"signalbox/router"
	"signalbox/router/internal/wording"
)

// wired is a channel and what its routes do that share a subscription.
type wired struct {
	channel  router.Channel
	isolated string // the name of the route that has a subscription of its own; empty: the others
	routes   []wire
}

// wire is some types and the handlers that get them, under one policy.
type wire struct {
	types    string
	handlers []string
	policy   string
}

// String is "types → handlers, types → handlers".
func (w wired) String() string {
	routes := make([]string, len(w.routes))
	for i, r := range w.routes {
		routes[i] = r.types + " → " + strings.Join(r.handlers, " ")
	}
	return strings.Join(routes, ", ")
}

// wiring lists the channels that have routes, and their isolated routes, in the order of
// the routes.
func wiring(cfg router.Config) []wired {
	var lines []wired
	for _, route := range cfg.Routes {
		isolated := ""
		if route.Isolated {
			isolated = route.Name
		}
		at := slices.IndexFunc(lines, func(l wired) bool { return l.channel.Name == route.Channel && l.isolated == isolated })
		if at < 0 {
			i := slices.IndexFunc(cfg.Channels, func(ch router.Channel) bool { return ch.Name == route.Channel })
			if i < 0 {
				continue // not in a configuration that was checked
			}
			at = len(lines)
			lines = append(lines, wired{channel: cfg.Channels[i], isolated: isolated})
		}
		line := &lines[at]
		types := shownTypes(line.channel, route.Types)
		policy := shownPolicy(route)
		if i := slices.IndexFunc(line.routes, func(w wire) bool { return w.types == types && w.policy == policy }); i >= 0 {
			line.routes[i].handlers = append(line.routes[i].handlers, route.Handler)
			continue
		}
		line.routes = append(line.routes, wire{types, []string{route.Handler}, policy})
	}
	return lines
}

// shownTypes are the types of a channel that patterns select, or the patterns where
// the channel doesn't say which types it has. "*" stands for all.
func shownTypes(ch router.Channel, patterns []string) string {
	asWritten := strings.Join(patterns, " ")
	set, err := router.ParseTypes(patterns...)
	own := slices.ContainsFunc(patterns, func(p string) bool { return strings.HasPrefix(p, router.OwnPrefix) })
	if err != nil || own || len(ch.Types) == 0 {
		return asWritten
	}
	var types []string
	for _, typ := range ch.Types {
		if set.Match(typ) {
			types = append(types, typ)
		}
	}
	switch {
	case len(types) == 0:
		return asWritten
	case len(types) == len(ch.Types) && slices.Contains(patterns, "*"):
		return "*"
	default:
		return strings.Join(types, " ")
	}
}

// shownPolicy is what a route's policy says beyond the defaults.
func shownPolicy(route router.Route) string {
	p := route.Policy
	var words []string
	if route.Isolated {
		words = append(words, "isolated")
	}
	if p.MaxAge > 0 {
		words = append(words, "max_age "+wording.Duration(p.MaxAge))
	}
	if d := p.Dedupe; d.Window > 0 {
		word := "dedupe " + wording.Duration(d.Window)
		if d.By == router.DedupeByKey {
			word += " by key"
		}
		words = append(words, word)
	}
	if p.Retry.Attempts > 1 {
		words = append(words, fmt.Sprintf("%d attempts", p.Retry.Attempts))
	}
	if p.Workers > 1 {
		words = append(words, fmt.Sprintf("%d workers", p.Workers))
	}
	return strings.Join(words, " · ")
}

// titled is a handler with its kind, where that is called otherwise.
func titled(handler, kind string) string {
	if kind == "" || kind == handler {
		return handler
	}
	return handler + " (" + kind + ")"
}
