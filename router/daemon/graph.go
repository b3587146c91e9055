package daemon

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"signalbox/router"
	"signalbox/router/internal/order"
	"signalbox/router/routesfile"
)

// GraphFormats are how the wiring can be drawn.
func GraphFormats() []string { return []string{"tree", "table", "mermaid", "dot", "json"} }

// Graph draws what is wired: sources, channels, types, routes, handlers, and where these publish.
// It needs no Redis, and no variable to be set.
func Graph(opts Options, format string) error {
	draw := map[string]func(graph, io.Writer) error{
		"tree": drawTree, "table": drawTable, "mermaid": drawMermaid, "dot": drawDot, "json": drawJSON,
	}[format]
	if draw == nil {
		return &UsageError{fmt.Errorf("-o %s: want %s", format, strings.Join(GraphFormats(), ", "))}
	}
	opts.Source.Check = true
	loaded, err := routesfile.Load(opts.Source, opts.Kinds)
	if err != nil {
		return err
	}
	for _, note := range loaded.Notes {
		if !note.Warning { // `router check` tells those
			fmt.Fprintln(opts.Stderr, note)
		}
	}
	return draw(newGraph(loaded), opts.Stdout)
}

// graph is the wiring, as `graph -o json` prints it.
type graph struct {
	Service string `json:"service"`
	// Sources are in the order of their names; those that are off are at the end.
	Sources  []graphSource  `json:"sources,omitempty"`
	Channels []graphChannel `json:"channels"`
	// Handlers are in the order of their names; Idle ones have no route that is on.
	Handlers []graphHandler `json:"handlers"`
}

type graphChannel struct {
	Channel     string       `json:"channel"`
	Transport   string       `json:"transport"`
	Name        string       `json:"name"` // or pattern, in Redis
	Pattern     bool         `json:"pattern,omitempty"`
	Description string       `json:"description,omitempty"`
	Types       []string     `json:"types,omitempty"`
	Group       string       `json:"group,omitempty"`
	DeadLetter  string       `json:"dead_letter,omitempty"` // name in Redis
	Routes      []graphRoute `json:"routes"`
}

type graphRoute struct {
	Route      string   `json:"route"`
	Types      []string `json:"types"`
	When       string   `json:"when,omitempty"`
	Policy     string   `json:"policy,omitempty"`
	Handler    string   `json:"handler"`
	DeadLetter string   `json:"dead_letter,omitempty"`
	Enabled    bool     `json:"enabled"`
	At         string   `json:"at,omitempty"`

	shown   string // its types, in short
	handler graphHandler
}

type graphSource struct {
	Source  string `json:"source"`
	Kind    string `json:"kind"`
	Channel string `json:"channel"` // that it publishes to
	Enabled bool   `json:"enabled"`
}

type graphHandler struct {
	Handler     string   `json:"handler"`
	Kind        string   `json:"kind"`
	PublishesTo []string `json:"publishes_to,omitempty"`
	Idle        bool     `json:"idle,omitempty"`
}

func newGraph(loaded *routesfile.Result) graph {
	g := graph{Service: loaded.Config.Service, Channels: []graphChannel{}, Handlers: []graphHandler{}}
	for _, s := range loaded.Config.Sources {
		g.Sources = append(g.Sources, graphSource{Source: s.Name, Kind: s.Kind, Channel: s.Channel, Enabled: true})
	}
	for _, s := range loaded.OffSources {
		g.Sources = append(g.Sources, graphSource{Source: s.Name, Kind: s.Kind, Channel: s.Channel})
	}
	for _, h := range loaded.Config.Handlers {
		g.Handlers = append(g.Handlers, graphHandler{Handler: h.Name, Kind: h.Kind, PublishesTo: h.PublishesTo})
	}
	for _, h := range loaded.Idle {
		g.Handlers = append(g.Handlers, graphHandler{Handler: h.Name, Kind: h.Kind, PublishesTo: h.PublishesTo, Idle: true})
	}
	order.Stable(g.Handlers, func(a, b *graphHandler) int { return strings.Compare(a.Handler, b.Handler) })
	routes := g.routes(loaded)
	for _, ch := range loaded.Config.Channels {
		one := graphChannel{
			Channel: ch.Name, Transport: string(ch.Transport), Name: ch.Topic, Pattern: ch.Pattern,
			Description: ch.Description, Types: ch.Types, Group: ch.Group, Routes: []graphRoute{},
		}
		if to, ok := loaded.Config.DeadLettersOf(router.Route{Channel: ch.Name}); ok {
			one.DeadLetter = to.Topic
		}
		for _, r := range routes[ch.Name] {
			r.shown = shownTypes(ch, r.Types)
			one.Routes = append(one.Routes, r)
		}
		g.Channels = append(g.Channels, one)
	}
	return g
}

// routes are the routes by channel, those that are off at the end.
func (g *graph) routes(loaded *routesfile.Result) map[string][]graphRoute {
	type kept struct {
		channel string
		set     router.DeadLetter
	}
	letters := map[kept]string{}
	routes := map[string][]graphRoute{}
	add := func(r *router.Route, as routesfile.Written, on bool) {
		one := graphRoute{
			Route: r.Name, Types: r.Types, When: as.When, Policy: shownPolicy(*r), Handler: r.Handler,
			Enabled: on, At: as.At, handler: graphHandler{Handler: r.Handler},
		}
		key := kept{r.Channel, r.Policy.DeadLetter}
		if _, known := letters[key]; !known {
			to, _ := loaded.Config.DeadLettersOf(*r)
			letters[key] = to.Topic
		}
		one.DeadLetter = letters[key]
		if i, found := slices.BinarySearchFunc(g.Handlers, r.Handler, func(h graphHandler, name string) int { return strings.Compare(h.Handler, name) }); found {
			one.handler = g.Handlers[i]
		}
		routes[r.Channel] = append(routes[r.Channel], one)
	}
	for i := range loaded.Config.Routes {
		r := &loaded.Config.Routes[i]
		add(r, loaded.Written(r.Channel, r.Name), true)
	}
	for i := range loaded.Off {
		off := &loaded.Off[i]
		add(&off.Route, off.Written, false)
	}
	return routes
}

func drawJSON(g graph, out io.Writer) error {
	_, err := fmt.Fprintln(out, toJSON(g))
	return err
}

// words are what a route asks and does beyond its types, in short.
func (r *graphRoute) words() []string {
	var words []string
	if r.Route != r.Handler {
		words = append(words, "route "+r.Route)
	}
	if r.When != "" {
		words = append(words, "when "+brief(r.When))
	}
	if r.Policy != "" {
		words = append(words, r.Policy)
	}
	return words
}

// brief is a condition on one line, and not too long to stand beside others.
func brief(text string) string { return firstRunes(strings.Join(strings.Fields(text), " "), 60) }
