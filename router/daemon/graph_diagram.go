package daemon

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"signalbox/router"
)

// diagram is the graph as nodes and edges. Sources and routes that are off are not in it.
type diagram struct {
	nodes []node
	edges []edge
	ids   map[string]string // of nodes, by what they stand for
	drawn map[edge]bool
}

// node is a source, a channel, a handler or a stream of dead letters. Its id is plain, whatever
// stands in its lines.
type node struct {
	id    string
	shape shape
	lines []string
}

type shape int

const (
	channelShape shape = iota
	handlerShape
	deadShape
	sourceShape
)

// edge is a route, or what a source or a handler publishes, or what a channel gives up.
type edge struct {
	from, to string
	label    string
	dashed   bool // for what is given up
}

func newDiagram(g graph) *diagram {
	d := &diagram{ids: map[string]string{}, drawn: map[edge]bool{}}
	for _, ch := range g.Channels {
		how := ch.Transport
		if ch.Name != ch.Channel {
			how += " " + ch.Name
		}
		d.node(channelKey+ch.Channel, channelShape, ch.Channel, how)
		if ch.Transport == string(router.Stream) { // letters may be kept in a declared channel
			d.ids[deadKey+ch.Name] = d.ids[channelKey+ch.Channel]
		}
	}
	for _, s := range g.Sources {
		if to := d.ids[channelKey+s.Channel]; to != "" && s.Enabled {
			from := d.node(sourceKey+s.Source, sourceShape, named(s.Source, s.Kind)...)
			d.edge(edge{from: from, to: to, label: "publishes"})
		}
	}
	for _, ch := range g.Channels {
		for _, r := range ch.Routes {
			if r.Enabled {
				d.route(ch, r)
			}
		}
	}
	return d
}

// What begins the keys of nodes.
const (
	channelKey = "channel:"
	handlerKey = "handler:"
	deadKey    = "dead:"
	sourceKey  = "source:"
)

func (d *diagram) route(ch graphChannel, r graphRoute) {
	from, to := d.ids[channelKey+ch.Channel], d.node(handlerKey+r.Handler, handlerShape, named(r.Handler, r.handler.Kind)...)
	d.edge(edge{from: from, to: to, label: strings.Join(append([]string{r.shown}, r.words()...), " · ")})
	for _, name := range r.handler.PublishesTo {
		if target := d.ids[channelKey+name]; target != "" {
			d.edge(edge{from: to, to: target, label: "publishes"})
		}
	}
	if r.DeadLetter != "" {
		dead := d.node(deadKey+r.DeadLetter, deadShape, r.DeadLetter, "dead letters")
		d.edge(edge{from: from, to: dead, label: "given up", dashed: true})
	}
}

// named are the lines of what has a kind, which its name may say.
func named(name, kind string) []string {
	if kind == "" || kind == name {
		return []string{name}
	}
	return []string{name, kind}
}

// node is the id of what a key stands for, which is drawn once.
func (d *diagram) node(key string, shape shape, lines ...string) string {
	if id, known := d.ids[key]; known {
		return id
	}
	id := "n" + strconv.Itoa(len(d.nodes)+1)
	d.ids[key] = id
	d.nodes = append(d.nodes, node{id, shape, lines})
	return id
}

func (d *diagram) edge(e edge) {
	if !d.drawn[e] {
		d.drawn[e] = true
		d.edges = append(d.edges, e)
	}
}

// drawMermaid draws a flowchart as Mermaid reads it.
func drawMermaid(g graph, out io.Writer) error {
	d := newDiagram(g)
	var b strings.Builder
	fmt.Fprintln(&b, "flowchart LR")
	around := map[shape][2]string{channelShape: {"([", "])"}, handlerShape: {"[", "]"}, deadShape: {"[(", ")]"}, sourceShape: {"[/", "/]"}}
	for _, n := range d.nodes {
		lines := make([]string, len(n.lines))
		for i, line := range n.lines {
			lines[i] = mermaidText(line)
		}
		brackets := around[n.shape]
		fmt.Fprintf(&b, "  %s%s\"%s\"%s\n", n.id, brackets[0], strings.Join(lines, "<br>"), brackets[1])
	}
	for _, e := range d.edges {
		arrow := "-->"
		if e.dashed {
			arrow = "-.->"
		}
		fmt.Fprintf(&b, "  %s %s|\"%s\"| %s\n", e.from, arrow, mermaidText(e.label), e.to)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// mermaidText is text between quotes of Mermaid, which has no escape but entities, and
// reads HTML and Markdown in it: "* …" would be a list, and 1. too.
func mermaidText(text string) string {
	var b strings.Builder
	runes := []rune(printable(text))
	plain := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]))
	}
	for i, r := range runes {
		inWord := r == '_' && plain(i-1) && plain(i+1)
		if i == 0 && !unicode.IsLetter(r) || !inWord && strings.ContainsRune("\"#&<>`\\*_~[]{}()|;$%:/", r) {
			fmt.Fprintf(&b, "#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// drawDot draws a digraph as Graphviz reads it.
func drawDot(g graph, out io.Writer) error {
	d := newDiagram(g)
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n  rankdir=LR;\n", dotText(g.Service))
	shapes := map[shape]string{channelShape: "ellipse", handlerShape: "box", deadShape: "cylinder", sourceShape: "parallelogram"}
	for _, n := range d.nodes {
		fmt.Fprintf(&b, "  %s [shape=%s, label=%s];\n", n.id, shapes[n.shape], dotText(n.lines...))
	}
	for _, e := range d.edges {
		style := ""
		if e.dashed {
			style = ", style=dashed"
		}
		fmt.Fprintf(&b, "  %s -> %s [label=%s%s];\n", e.from, e.to, dotText(e.label), style)
	}
	b.WriteString("}\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// dotText is lines as a quoted string of Graphviz, where a backslash begins an escape and
// & an entity.
func dotText(lines ...string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "&", "&amp;")
	quoted := make([]string, len(lines))
	for i, line := range lines {
		quoted[i] = escape.Replace(printable(line))
	}
	return `"` + strings.Join(quoted, `\n`) + `"`
}
