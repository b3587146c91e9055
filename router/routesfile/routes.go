package routesfile

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"signalbox/router"
	"signalbox/router/internal/nearest"
)

// route is one route of one channel to one handler.
type route struct {
	router.Route
	raw *rawRoute
	at  place // where its handler is written
}

// expander turns the raw routes into routes and names them.
type expander struct {
	*compiler
	routes  []route
	off     []route             // those that say enabled = false
	named   map[[2]string]place // channel and route name: where it was given
	unnamed map[[2]string]int   // channel and handler: how many routes have no name, those that are off included
	work    int                 // comparisons so far, of maxWork
}

func (c *compiler) compileRoutes(at place) {
	e := &expander{compiler: c, named: make(map[[2]string]place), unnamed: make(map[[2]string]int)}
	c.checkRetry(c.raw.Defaults.Retry, nil)
	disabled := 0
	for i := range c.raw.Routes {
		raw := &c.raw.Routes[i]
		if raw.node == nil {
			continue // not a table: reported
		}
		off := raw.Enabled != nil && !*raw.Enabled
		if off {
			disabled++
		}
		e.expand(raw, off)
		if c.report.full() || e.work > maxWork {
			break
		}
		if len(e.routes)+len(e.off) > maxRoutes {
			c.report.errorf(raw.node.key, "more than %d routes, counting each channel and handler; use fewer names in lists", maxRoutes)
			break
		}
	}
	e.nameDefaults()
	e.checkIsolated()
	e.adviseIsolation()
	e.checkDedupeNames()
	switch {
	case len(c.raw.Routes) == 0 && c.root.get("routes") != nil && c.root.get("routes").list == nil: // reported
	case len(c.raw.Routes) == 0 && c.root.mistypes("routes", topTables()): // reported
	case len(c.raw.Routes) == 0 && strings.HasSuffix(at.file, testsSuffix):
		routes := strings.TrimSuffix(at.file, testsSuffix) + ".toml"
		c.report.errorf(place{file: at.file}, "no routes: it has tests of those in %s; name that one, and this one is found beside it: -c %[1]s", routes)
	case len(c.raw.Routes) == 0 && c.root.mistypes("sources", topTables()): // reported
	case len(c.raw.Routes) == 0 && len(c.raw.Sources) > 0: // a feed for others
		c.warnAllOff()
	case len(c.raw.Routes) == 0:
		c.report.errorf(at, "no routes: nothing would be handled; add one:\n  [[routes]]\n  channel = \"…\"\n  type    = \"*\"\n  handler = \"log\"")
	case disabled == len(c.raw.Routes):
		c.report.warnf(c.raw.Routes[0].node.place("enabled"), "every route says enabled = false: nothing will be handled")
	}
	c.routes, c.off = e.routes, e.off
}

// expand checks one [[routes]] table, and adds its routes unless it is off.
func (e *expander) expand(raw *rawRoute, off bool) {
	n := raw.node
	if value := n.sure("name"); value != nil && value.value == raw.Name {
		e.report.checkShownName(n.place("name"), n.subject()+": name", raw.Name, n.get("name").quoted(raw.Name))
	}
	e.required(n, "channel", raw.Channel, "write the name of a declared channel, or \"*\" for all of them")
	e.required(n, "type", raw.Type, "write type = \"*\" for every type")
	e.required(n, "handler", raw.Handler, "write the name of a handler, such as \"log\"")

	e.checkRetry(raw.Retry, e.raw.Defaults.Retry)
	channels := e.channelsOf(raw)
	types := e.typesOf(raw)
	policy := e.policyOf(raw)
	policy.Dedupe = e.dedupeOf(raw, channels)
	when := e.conditionOf(raw)
	var handlers []route
	for _, used := range raw.Handler.all {
		if one := e.handlerFor(n, used); one != nil {
			one.named, one.routed = true, one.routed || !off
			to := route{raw: raw, at: used.node.at}
			to.Handler, to.Types, to.When, to.Policy = one.Name, types, when, policy
			to.Policy.Workers = cmp.Or(to.Policy.Workers, one.workers)
			to.WhenText = raw.When
			handlers = append(handlers, to)
		}
	}
	if len(types) == 0 {
		return
	}
	channels = e.checkTypes(raw, channels)
	for _, to := range channels {
		to.read = true
	}
	e.checkQueue(raw, channels)
	for _, to := range channels {
		deadLetters := e.checkDeadLetter(n, raw.DeadLetter, to)
		for _, added := range handlers {
			added.Channel = to.Name
			if raw.Name == "" {
				e.unnamed[[2]string{to.Name, added.Handler}]++
			}
			if deadLetters {
				added.Policy.DeadLetter = raw.DeadLetter.DeadLetter
			}
			e.isolate(&added, to)
			if off {
				added.Name = offName(&added)
				e.off = append(e.off, added)
				continue
			}
			e.add(added, len(raw.Handler.all) > 1)
		}
		if len(e.routes)+len(e.off) > maxRoutes {
			return
		}
	}
}

func (e *expander) required(n *node, key string, value names, remedy string) {
	if !value.given && n.get(key) == nil && !n.mistypes(key, keyNames(reflect.TypeFor[rawRoute]())) {
		e.report.errorf(n.key, "%s: %s is missing; %s", n.subject(), key, remedy)
	}
}

// channelsOf are the channels that a route names, in its order; "*" is all of them.
func (e *expander) channelsOf(raw *rawRoute) []*channel {
	var found []*channel
	for _, used := range raw.Channel.all {
		if used.text == "*" {
			if len(e.channels) == 0 {
				e.report.errorf(used.node.at, `%s: channel "*" is every declared channel, and none is declared; add [channels.NAME]`, raw.node.subject())
			}
			return slices.SortedFunc(maps.Values(e.channels), func(a, b *channel) int { return cmp.Compare(a.Name, b.Name) })
		}
		if one := e.channels[used.text]; one != nil {
			found = append(found, one)
			continue
		}
		if e.report.full() {
			e.report.errorf(used.node.at, "")
			continue
		}
		known := slices.Collect(maps.Keys(e.channels))
		e.report.errorf(used.node.at, "%s: unknown channel %s%s", raw.node.subject(), used.node.quoted(used.text), didYouMean(used.text, "channels", known))
		if near, ok := nearest.Name(used.text, known); ok {
			e.guessType(raw, e.channels[near])
		}
	}
	return found
}

// guessType reports types that are hardly right if a channel is the one that was meant:
// who mistypes both mends both at once.
func (e *expander) guessType(raw *rawRoute, meant *channel) {
	for _, typ := range raw.Type.all {
		if _, near := nearest.Name(strings.TrimPrefix(typ.text, "!"), meant.Types); near && !meant.has(typ.text) {
			e.unknownType(raw, typ, []*channel{meant})
		}
	}
}

// add names a route, if its name is given, and keeps it.
func (e *expander) add(r route, several bool) {
	if given := r.raw.Name; given != "" {
		r.Name = given
		if several {
			r.Name = given + "." + r.Handler
		}
		key := [2]string{r.Channel, r.Name}
		if earlier, taken := e.named[key]; taken {
			at := r.raw.node.place("name")
			e.report.errorf(at, "%s: channel %q has a route %q already (%s); give this one another name", r.raw.node.subject(), r.Channel, r.Name, earlier.lineIn(at.file))
			return
		}
		e.named[key] = r.raw.node.place("name")
	}
	e.routes = append(e.routes, r)
}

// nameDefaults names the routes that have no name after their handlers: log, log.2,
// log.3 in the order of the files, past the names that were given.
func (e *expander) nameDefaults() {
	last := make(map[[2]string]int) // number of a default name, by channel and handler
	for i := range e.routes {
		r := &e.routes[i]
		if r.Name != "" {
			continue
		}
		handler := [2]string{r.Channel, r.Handler}
		for {
			last[handler]++
			r.Name = r.Handler
			if number := last[handler]; number > 1 {
				r.Name = fmt.Sprintf("%s.%d", r.Handler, number)
			}
			key := [2]string{r.Channel, r.Name}
			if _, taken := e.named[key]; !taken {
				e.named[key] = r.at
				break
			}
		}
	}
}

// collect puts what is checked into the Config: all channels, but only the handlers
// that a route uses. A handler whose routes are off must not open its connections.
func (c *compiler) collect() {
	for _, name := range slices.Sorted(maps.Keys(c.channels)) {
		c.config.Channels = append(c.config.Channels, c.channels[name].Channel)
	}
	for _, name := range slices.Sorted(maps.Keys(c.handlers)) {
		if one := c.handlers[name]; one.New != nil && one.routed {
			c.config.Handlers = append(c.config.Handlers, one.HandlerSpec)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.sources)) {
		if one := c.sources[name]; one.New != nil && c.channels[one.Channel] != nil && !one.off {
			c.config.Sources = append(c.config.Sources, one.SourceSpec)
		}
	}
	for _, r := range c.routes {
		if c.handlers[r.Handler].New != nil {
			c.config.Routes = append(c.config.Routes, r.Route)
		}
	}
}

// typesOf are a route's type patterns; none when they are wrong or not known.
func (e *expander) typesOf(raw *rawRoute) []string {
	var types []string
	for _, one := range raw.Type.all {
		if _, err := router.ParseTypes(strings.TrimPrefix(one.text, "!")); err != nil {
			e.report.errorf(one.node.at, "%s: type %s: %s", raw.node.subject(), one.node.quoted(one.text), reason(err))
			continue
		}
		types = append(types, one.text)
	}
	if len(types) < len(raw.Type.all) {
		return nil
	}
	if len(types) == 0 || raw.Type.partial {
		return types
	}
	if _, err := router.ParseTypes(types...); err != nil {
		e.report.errorf(raw.node.place("type"), "%s: %s", raw.node.subject(), err)
		return nil
	}
	return types
}

// reason is the innermost cause of an error.
func reason(err error) error {
	for {
		wrapped, ok := err.(interface{ Unwrap() error })
		if !ok || wrapped.Unwrap() == nil {
			return err
		}
		err = wrapped.Unwrap()
	}
}
