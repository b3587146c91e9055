package routesfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"signalbox/router"
)

// OffRoute is a route that enabled = false takes out. Another one of its channel may
// have its name.
type OffRoute struct {
	router.Route
	At   string // file:line
	When string // its condition, as it is written
}

// written is where a route is written, its condition as it is written, and whether a
// check skipped a value of it.
type written struct {
	at, when   string
	secretWhen bool
	unsure     bool
}

// Where is the place where a route is written, file:line; empty if there is no such
// route. Routes that are off have theirs in Off.
func (r *Result) Where(channel, route string) string { return r.written[[2]string{channel, route}].at }

// When is the condition of a route as it is written, with references such as ${file:…},
// behind which may be a secret, as they are.
func (r *Result) When(channel, route string) string { return r.written[[2]string{channel, route}].when }

// SecretWhen reports whether the condition of a route refers to a secret: to a file, or a
// variable that is called like one.
func (r *Result) SecretWhen(channel, route string) bool {
	return r.written[[2]string{channel, route}].secretWhen
}

// Unsure reports whether a check skipped a value of a route, such as a condition whose
// variable is not set, so that nobody knows what the route will do.
func (r *Result) Unsure(channel, route string) bool {
	return r.written[[2]string{channel, route}].unsure
}

// where is the line of the route's table.
func (r *route) where() string {
	at := r.raw.node.key
	return fmt.Sprintf("%s:%d", at.file, at.line)
}

// when is its condition as it is written.
func (r *route) when() string {
	if n := r.raw.node.get("when"); n != nil && n.source != "" {
		if text, err := strconv.Unquote(n.source); err == nil {
			return text
		}
	}
	return r.WhenText
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

// collectRest puts into the result what Config has no place for.
func (c *compiler) collectRest(result *Result) {
	result.written = make(map[[2]string]written, len(c.routes))
	for i := range c.routes {
		r := &c.routes[i]
		result.written[[2]string{r.Channel, r.Name}] = written{r.where(), r.when(), saidSecret(r.when()), r.raw.node.skips()}
	}
	for i := range c.off {
		r := &c.off[i]
		result.Off = append(result.Off, OffRoute{r.Route, r.where(), r.when()})
	}
	slices.SortStableFunc(result.Off, func(a, b OffRoute) int { return cmp.Compare(a.Channel, b.Channel) })
	for _, name := range slices.Sorted(maps.Keys(c.handlers)) {
		if one := c.handlers[name]; !one.routed {
			result.Idle = append(result.Idle, one.HandlerSpec)
		}
	}
}
