package routesfile

import (
	"maps"
	"slices"
	"strings"

	"signalbox/router"
)

// hugeStream is a length of a stream that hardly anybody has the memory for.
const hugeStream = 10_000_000

// warnings looks for what works and is hardly what its author meant.
type warnings struct {
	*compiler
	routes map[*channel][]*route // that are not off
	sets   map[*rawRoute]router.TypeSet
	here   map[string]bool // the files that have routes
	work   int             // comparisons so far, of maxWork
}

// warn is the last step of a check. A configuration with errors has no warnings: what is
// wrong in it may be what they would be about.
func (c *compiler) warn() {
	if c.report.failures() > 0 {
		return
	}
	w := &warnings{compiler: c, routes: make(map[*channel][]*route), sets: make(map[*rawRoute]router.TypeSet), here: make(map[string]bool)}
	for i := range c.routes {
		r := &c.routes[i]
		w.routes[c.channels[r.Channel]] = append(w.routes[c.channels[r.Channel]], r)
	}
	for i := range c.raw.Routes {
		raw := &c.raw.Routes[i]
		w.here[raw.node.key.file] = true
		w.warnTypes(raw)
		w.warnPolicy(raw)
		w.warnCondition(raw)
	}
	w.warnUnused()
	w.warnSources()
	for _, name := range slices.Sorted(maps.Keys(c.channels)) {
		w.warnTwice(c.channels[name])
		w.warnUntaken(c.channels[name])
	}
}

// warnUnused tells channels and handlers that nothing uses. A file without routes is one
// that several services share: not each of them uses all of it.
func (w *warnings) warnUnused() {
	sentTo := make(map[string]bool)
	for _, h := range w.handlers {
		for _, name := range h.PublishesTo {
			sentTo[name] = true
		}
	}
	for i := range w.raw.Routes {
		sentTo[w.raw.Routes[i].DeadLetter.Channel] = true
	}
	for _, one := range w.channels {
		sentTo[one.DeadLetter.Channel] = true
	}
	for name, one := range w.channels {
		n := one.raw.node
		if w.here[n.key.file] && !one.read && !sentTo[name] && len(one.sources) == 0 {
			w.report.warnf(n.key, "%s: no route reads it and no handler publishes to it; remove it, or write a route for it", n.subject())
		}
		if n.written("hours") && !n.written("stale_after") {
			w.report.warnf(n.get("hours").key, "%s: hours say when silence counts, and without stale_after it never does; write stale_after, or remove hours", n.subject())
		}
		if one.MaxLen > hugeStream {
			w.report.warnf(n.place("max_len"), "%s: max_len: Redis keeps a stream in its memory, and %d events of 300 bytes take %d GB of it; write less", n.subject(), one.MaxLen, one.MaxLen*300/1e9)
		}
	}
	for name, one := range w.handlers {
		if one.node == nil {
			continue
		}
		if w.here[one.at.file] && !one.named {
			w.report.warnf(one.at, "%s: no route uses it; remove it, or name it in a route", one.subject())
		}
		if _, hides := w.kinds.Kind(name); hides && one.Kind != name {
			w.report.warnf(one.at, "%s: is of kind %q, and %q is a kind, too, which a route cannot name any more; give this handler another name", one.subject(), one.Kind, name)
		}
	}
}

// warnTypes tells patterns of a route that change nothing.
func (w *warnings) warnTypes(raw *rawRoute) {
	for i, one := range raw.Type.all {
		if w.work += len(raw.Type.all); w.work > maxWork {
			return
		}
		body, excluded := strings.CutPrefix(one.text, "!")
		fail := func(format string, args ...any) {
			w.report.warnf(one.node.at, "%s: type %s "+format, append([]any{raw.node.subject(), one.node.quoted(one.text)}, args...)...)
		}
		if by := raw.Type.find(i, func(other string, excludes bool) bool { return excludes && !excluded && covers(other, body) }); by != "" {
			fail("never matches: %q excludes it; remove one of them", by)
			continue
		}
		by := raw.Type.find(i, func(other string, excludes bool) bool {
			return excludes == excluded && covers(other, body) && !covers(body, other)
		})
		if by != "" {
			fail("changes nothing: %q has it already; remove it", by)
		}
		touches := func(other name) bool {
			return !strings.HasPrefix(other.text, "!") && (covers(other.text, body) || covers(body, other.text))
		}
		if excluded && !slices.ContainsFunc(raw.Type.all, touches) {
			fail("excludes nothing that the others take; remove it")
		}
		if !excluded {
			w.warnOwn(raw, one)
		}
	}
}

// find is the first of the other patterns that is as asked for; empty without any.
func (s *names) find(but int, is func(body string, excludes bool) bool) string {
	for i, one := range s.all {
		body, excludes := strings.CutPrefix(one.text, "!")
		if i != but && is(body, excludes) {
			return one.text
		}
	}
	return ""
}

// covers reports whether a pattern takes all that another one takes.
func covers(pattern, other string) bool {
	body, prefix := strings.CutSuffix(pattern, "*")
	if !prefix {
		return pattern == other
	}
	own := strings.HasPrefix(other, router.OwnPrefix) && !strings.HasPrefix(pattern, router.OwnPrefix)
	return !own && strings.HasPrefix(other, body)
}

// warnOwn tells types of Signalbox's own that never arise.
func (w *warnings) warnOwn(raw *rawRoute, one name) {
	if !strings.HasPrefix(one.text, router.OwnPrefix) {
		return
	}
	own := []string{router.TypeGap, router.TypeDead, router.TypeStale, router.TypeLive, router.TypeConnected, router.TypeDisconnected}
	if !slices.ContainsFunc(own, func(typ string) bool { return covers(one.text, typ) }) {
		w.report.warnf(one.node.at, "%s: Signalbox sends no type %s%s", raw.node.subject(), one.node.quoted(one.text), didYouMean(one.text, "its own types", own))
	}
	if one.text != router.TypeStale && one.text != router.TypeLive {
		return
	}
	for to, routes := range w.routes {
		if w.work += len(routes); w.work > maxWork {
			return
		}
		if !to.raw.node.written("stale_after") && slices.ContainsFunc(routes, func(r *route) bool { return r.raw == raw }) {
			w.report.warnf(one.node.at, "%s: type %s: channel %q has no stale_after, so that none is sent there; write one", raw.node.subject(), one.node.quoted(one.text), to.Name)
		}
	}
}

// warnTwice tells routes that bring an event to a handler that has it already.
func (w *warnings) warnTwice(to *channel) {
	byHandler := make(map[string][]*route)
	for _, r := range w.routes[to] {
		for _, earlier := range byHandler[r.Handler] {
			if w.work += len(r.Types) + len(earlier.Types); w.work > maxWork {
				return
			}
			if r.raw != earlier.raw && (r.WhenText == earlier.WhenText || r.WhenText == "" || earlier.WhenText == "") && w.tellTwice(to, earlier, r) {
				break
			}
		}
		byHandler[r.Handler] = append(byHandler[r.Handler], r)
	}
}

func (w *warnings) tellTwice(to *channel, earlier, r *route) bool {
	both := w.common(to, earlier, r)
	if both == "" {
		return false
	}
	where := earlier.at.lineIn(r.at.file)
	if slices.Equal(r.Types, earlier.Types) && r.WhenText == earlier.WhenText {
		w.report.warnf(r.raw.node.place("type"), "%s: sends the same events of channel %q to handler %q as %s (%s), so that each is handled twice; remove one of them",
			r.raw.node.subject(), to.Name, r.Handler, earlier.raw.node.subject(), where)
		return true
	}
	w.report.warnf(r.raw.node.place("type"), "%s: sends type %q of channel %q to handler %q, and so does %s (%s): it is handled twice; leave it out of one of them, such as with %q",
		r.raw.node.subject(), both, to.Name, r.Handler, earlier.raw.node.subject(), where, "!"+both)
	return true
}

// common is a type, or a pattern, that two routes of a channel take; empty without any.
func (w *warnings) common(to *channel, a, b *route) string {
	first, second := w.set(a), w.set(b)
	candidates := to.sorted
	if to.open || len(candidates) == 0 {
		candidates = slices.Concat(a.Types, b.Types)
	}
	for _, candidate := range candidates {
		body, prefix := strings.CutSuffix(candidate, "*")
		if prefix {
			body += "\x00" // stands for any end
		}
		if first.Match(body) && second.Match(body) {
			return candidate
		}
	}
	return ""
}

func (w *warnings) set(r *route) router.TypeSet {
	set, known := w.sets[r.raw]
	if !known {
		set, _ = router.ParseTypes(r.Types...) // it was checked
		w.sets[r.raw] = set
	}
	return set
}

// warnUntaken tells types of a channel that no route takes.
func (w *warnings) warnUntaken(one *channel) {
	n := one.raw.node
	routes := w.routes[one]
	partial := slices.ContainsFunc(routes, func(r *route) bool { return r.raw.Type.partial })
	if len(routes) == 0 || partial || one.open || !w.here[n.key.file] && !one.KeepUnmatched {
		return
	}
	for _, typ := range one.raw.Types.all {
		if w.work += len(routes); w.work > maxWork {
			return
		}
		if !slices.ContainsFunc(routes, func(r *route) bool { set := w.set(r); return set.Match(typ.text) }) {
			fate := "is counted as unmatched and goes nowhere"
			if one.KeepUnmatched {
				fate = "becomes a dead letter"
			}
			w.report.warnf(typ.node.at, "%s: no route takes type %s, which %s; write a route for it, or remove it", n.subject(), typ.node.quoted(typ.text), fate)
		}
	}
}

// warnPolicy tells policies that cannot do what they say.
func (w *warnings) warnPolicy(raw *rawRoute) {
	n, policy := raw.node, (&expander{compiler: w.compiler}).policyOf(raw)
	retry := policy.Retry
	if raw.Retry != nil && retry.Attempts <= 1 && (raw.Retry.Backoff != nil || raw.Retry.MaxBackoff != nil) {
		w.report.warnf(n.place("retry"), "%s: retry: a pause means nothing with one attempt; write attempts = 3 beside it, or remove it", n.subject())
	}
	// A pause is half as long as it says, at least.
	if retry.Attempts > 1 && policy.MaxAge > 0 && retry.Backoff/2 >= policy.MaxAge {
		w.report.warnf(n.place("max_age"), "%s: max_age %v is over before the first pause of retry ends, so that no second attempt is ever made; make the pause shorter, or remove retry", n.subject(), policy.MaxAge)
	}
	if raw.Dedupe != nil && raw.Dedupe.By != string(router.DedupeByKey) && raw.Dedupe.Window > 0 && policy.MaxAge > raw.Dedupe.Window {
		w.report.warnf(n.place("dedupe"), "%s: dedupe forgets an event after %v, and max_age lets it in until %v, so that it could be handled twice; make the window longer", n.subject(), raw.Dedupe.Window, policy.MaxAge)
	}
	for _, used := range raw.Channel.all {
		if to := w.channels[used.text]; to != nil && policy.Workers > to.InFlight && to.InFlight > 0 {
			w.report.warnf(n.place("workers"), "%s: %d workers, and channel %q lets %d events in flight, so that the others have nothing to do; raise in_flight or lower workers", n.subject(), policy.Workers, to.Name, to.InFlight)
		}
	}
}
