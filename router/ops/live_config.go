package ops

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"signalbox/router"
)

// told is what tells one state of the configuration from the next.
type told struct {
	hash             string
	since, attempt   time.Time
	reloads, refused uint64
	refusal          string
}

// tellConfig tells all browsers of the configuration, if there is news. It is called with
// sending held.
func (l *live) tellConfig() {
	running := l.program.Running()
	now := told{running.Hash, running.Since, running.Attempt, running.Reloads, running.Refused, running.Refusal}
	if now == l.of && l.config.text != nil {
		return
	}
	l.of, l.config = now, newNotice("config", "", l.wireConfig(&running))
	for c := range l.clients {
		c.putConfig(l.config)
	}
}

func (l *live) wireConfig(r *Running) wireConfig {
	w := wireConfig{
		Service: l.program.Service, Version: l.program.Version, Started: l.program.Started.UnixMilli(), Write: l.write,
		Files: append([]string{}, r.Files...), Hash: r.shortHash(), Since: r.Since.UnixMilli(), Refusal: redact(r.Refusal),
		Channels: make([]wireChannel, 0, len(r.Config.Channels)),
		Handlers: make([]wireHandler, 0, len(r.Config.Handlers)),
		Routes:   make([]wireRoute, 0, len(r.Config.Routes)),
	}
	if !r.Attempt.IsZero() {
		w.Attempt = r.Attempt.UnixMilli()
	}
	types := map[string][]string{} // by channel, that routes name
	for i, route := range r.Config.Routes {
		types[route.Channel] = append(types[route.Channel], route.Types...)
		w.Routes = append(w.Routes, newWireRoute(route, shownAt(r.Shown, i, route)))
	}
	for _, ch := range r.Config.Channels {
		w.Channels = append(w.Channels, newWireChannel(ch, types[ch.Name], r.Config.DeadLetters(ch.Name)))
	}
	for _, h := range r.Config.Handlers {
		w.Handlers = append(w.Handlers, wireHandler{Name: h.Name, Kind: h.Kind, Publishes: h.PublishesTo})
	}
	for _, s := range r.Config.Sources {
		w.Sources = append(w.Sources, wireSource{Name: s.Name, Kind: s.Kind, Channel: s.Channel})
	}
	return w
}

// shownAt is how a route is told; of a condition of which nobody says that it may be
// shown, only that there is one.
func shownAt(shown []Shown, i int, route router.Route) Shown {
	if i < len(shown) {
		return shown[i]
	}
	if route.When != nil {
		return Shown{When: "…"}
	}
	return Shown{}
}

func newWireRoute(r router.Route, shown Shown) wireRoute {
	return wireRoute{
		Channel: r.Channel, Name: nameOf(r), Types: append([]string{}, r.Types...), Handler: r.Handler,
		When: shown.When, Policy: shown.Policy, Isolated: r.Isolated,
	}
}

// nameOf is the name of a route.
func nameOf(r router.Route) string { return cmp.Or(r.Name, r.Handler) }

func newWireChannel(ch router.Channel, named []string, dead []router.Channel) wireChannel {
	w := wireChannel{
		Name: ch.Name, Transport: string(ch.Transport), Topic: ch.Topic, Pattern: ch.Pattern, Description: ch.Description,
		Types: append([]string{}, ch.Types...),
	}
	if w.Topic == "" {
		w.Topic = ch.Name
	}
	known := map[string]bool{}
	for _, typ := range ch.Types {
		known[typ] = true
	}
	for _, typ := range named {
		if known[typ] || strings.HasPrefix(typ, "!") || strings.Contains(typ, "*") {
			continue
		}
		known[typ] = true
		w.Types = append(w.Types, typ)
	}
	for _, place := range dead {
		w.Dead = append(w.Dead, place.Topic)
	}
	slices.Sort(w.Dead)
	return w
}
