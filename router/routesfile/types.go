package routesfile

import (
	"fmt"
	"slices"
	"strings"

	"signalbox/router"
)

// checkTypes reports types of a route that none of its channels has, and returns the
// channels that have any. With "*" the others are simply not meant; a channel that a
// route names is.
func (e *expander) checkTypes(raw *rawRoute, channels []*channel) []*channel {
	if len(channels) == 0 || raw.Type.partial || raw.Channel.partial {
		return channels
	}
	if e.work += len(channels) * len(raw.Type.all); e.work > maxWork {
		e.report.errorf(raw.node.key, "%s: too many channels and types to compare; use a prefix such as \"order.*\", or fewer names in lists", raw.node.subject())
		return nil
	}
	before := e.report.failures()
	for _, typ := range raw.Type.all {
		if !slices.ContainsFunc(channels, func(one *channel) bool { return one.has(typ.text) }) {
			e.unknownType(raw, typ, channels)
		}
	}
	if e.report.failures() > before {
		return nil
	}
	every := slices.ContainsFunc(raw.Channel.all, func(one name) bool { return one.text == "*" })
	var fitting []*channel
	for _, one := range channels {
		fits := slices.ContainsFunc(raw.Type.all, func(typ name) bool {
			return !strings.HasPrefix(typ.text, "!") && one.has(typ.text)
		})
		if fits {
			fitting = append(fitting, one)
		} else if !every {
			e.report.errorf(raw.node.place("channel"), "%s: channel %q has none of these types%s", raw.node.subject(), one.Name, listing("its types", one.Types))
		}
	}
	return fitting
}

// has reports whether the channel may carry a type that the pattern is about.
func (c *channel) has(pattern string) bool {
	pattern = strings.TrimPrefix(pattern, "!")
	if c.open || len(c.Types) == 0 || pattern == "*" || strings.HasPrefix(pattern, router.OwnPrefix) {
		return true
	}
	body, isPrefix := strings.CutSuffix(pattern, "*")
	i, exact := slices.BinarySearch(c.sorted, body)
	return exact || isPrefix && i < len(c.sorted) && strings.HasPrefix(c.sorted[i], body)
}

func (e *expander) unknownType(raw *rawRoute, typ name, channels []*channel) {
	if e.report.full() {
		e.report.errorf(typ.node.at, "")
		return
	}
	var known []string
	for _, one := range channels {
		known = append(known, one.Types...)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	where := "none of its channels has a"
	if len(channels) == 1 {
		where = fmt.Sprintf("channel %q has no", channels[0].Name)
	}
	body := strings.TrimPrefix(typ.text, "!")
	hint := didYouMean(body, "types", known)
	if strings.HasSuffix(body, "*") {
		hint = listing("types", known)
	}
	e.report.errorf(typ.node.at, "%s: %s type %s%s", raw.node.subject(), where, typ.node.quoted(body), hint)
}
