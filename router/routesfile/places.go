package routesfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"signalbox/router"
	"signalbox/router/internal/order"
)

// Written is how the files have a route.
type Written struct {
	At string // file:line; empty: there is no such route
	// When is the condition, with references such as ${file:…} as they are. Secret says that
	// behind one of them is a secret, so that WhenText must not be shown.
	When   string
	Secret bool
	// Unsure says that a check skipped a value, such as a condition whose variable is not
	// set, so that nobody knows what the route will do.
	Unsure bool
}

// OffRoute is a route that enabled = false takes out. Another one of its channel may
// have its name.
type OffRoute struct {
	router.Route
	Written
}

// Written is how a route of Config is written. Those that are off tell it themselves.
func (r *Result) Written(channel, route string) Written { return r.written[[2]string{channel, route}] }

func (r *route) asWritten() Written {
	at, when := r.raw.node.key, r.raw.node.get("when")
	w := Written{At: fmt.Sprintf("%s:%d", at.file, at.line), When: r.WhenText, Unsure: r.raw.node.skips()}
	if when != nil && when.source != "" {
		w.Secret = when.holdsSecret()
		if text, err := strconv.Unquote(when.source); err == nil {
			w.When = text
		}
	}
	return w
}

// offName names a route that is off; a number that it would have among others is not
// known.
func offName(r *route) string {
	switch name := r.raw.Name; {
	case name == "":
		return r.Handler
	case len(r.raw.Handler.all) > 1:
		return name + "." + r.Handler
	default:
		return name
	}
}

// OffSource is a source that enabled = false takes out.
type OffSource struct {
	router.SourceSpec
	At string // file:line
}

// collectRest puts into the result what Config has no place for.
func (c *compiler) collectRest(result *Result) {
	result.written = make(map[[2]string]Written, len(c.routes))
	for i := range c.routes {
		r := &c.routes[i]
		result.written[[2]string{r.Channel, r.Name}] = r.asWritten()
	}
	for i := range c.off {
		r := &c.off[i]
		result.Off = append(result.Off, OffRoute{r.Route, r.asWritten()})
	}
	order.Stable(result.Off, func(a, b *OffRoute) int { return cmp.Compare(a.Channel, b.Channel) })
	for _, name := range slices.Sorted(maps.Keys(c.sources)) {
		if one := c.sources[name]; one.off {
			at := one.raw.node.key
			result.OffSources = append(result.OffSources, OffSource{one.SourceSpec, fmt.Sprintf("%s:%d", at.file, at.line)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.handlers)) {
		if one := c.handlers[name]; !one.routed {
			result.Idle = append(result.Idle, one.HandlerSpec)
		}
	}
}
