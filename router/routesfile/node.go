package routesfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// node is one value of the layered configuration, with where it comes from.
type node struct {
	value any              // of a leaf: string, int64, float64, bool or a TOML date
	table map[string]*node // of a table
	list  []*node          // of a list; not nil even when empty

	path []string // keys from the top, and item for the elements of a list
	key  place    // where its key is written
	at   place    // where its value is written
	dir  string   // folder of the file, which relative paths start from

	source    string   // what is written, where the value was expanded from ${…}
	raw       string   // text that has a $, as it is written, whether it could be expanded or not
	loose     bool     // text that may stand for a number or a boolean: one reference, a variable, a flag
	commas    bool     // text that may stand for a list: a variable, a flag
	trouble   *trouble // why it could not be expanded
	skipped   bool     // its variable is not set, or its reference is an error: neither value nor checks
	unsure    bool     // a value was skipped above this one, which may not be what runs
	above     *node    // that value
	isDefault bool     // written nowhere
	secret    bool     // no error tells the value: its option is a secret
}

// trouble is a value that could not be expanded. It is only told when no higher layer
// replaced the value: --redis makes up for a variable that is not set.
type trouble struct {
	of   *node  // as it was written
	why  string // in words
	note bool   // not a mistake: the configuration is only checked
}

// tellTroubles reports what could not be expanded in n.
func (n *node) tellTroubles(report *report) {
	if t := n.trouble; t != nil && t.note {
		report.skip(t.of, t.why)
	} else if t != nil {
		report.errorf(t.of.at, "%s: %s", t.of.label(), t.why)
	}
	for _, child := range n.children() {
		child.tellTroubles(report)
	}
	for _, item := range n.list {
		item.tellTroubles(report)
	}
}

// get is the value of a key, nil without one.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	return n.table[key]
}

// written reports whether the configuration says key, rather than its default.
func (n *node) written(key string) bool {
	child := n.get(key)
	return child != nil && !child.isDefault
}

// skips reports whether something in n was skipped, so that n is not known whole.
func (n *node) skips() bool {
	if n == nil {
		return false
	}
	if n.skipped || n.unsure || slices.ContainsFunc(n.list, (*node).skips) {
		return true
	}
	for _, child := range n.table {
		if child.skips() {
			return true
		}
	}
	return false
}

// sure is the value of key, nil when there is none or it was skipped.
func (n *node) sure(key string) *node {
	if child := n.get(key); !child.skips() {
		return child
	}
	return nil
}

// place is where an error about key points: at its value, else at n itself.
func (n *node) place(key string) place {
	if n == nil {
		return place{}
	}
	if n.written(key) {
		return n.table[key].at
	}
	return n.at
}

// subject is what an error about n is about: `channel "orders"`, `route 2`.
func (n *node) subject() string {
	subject, _ := n.describe()
	return subject
}

// label begins an error about n: `channel "orders": types`.
func (n *node) label() string {
	subject, rest := n.describe()
	switch {
	case rest == "":
		return subject
	case subject == "":
		return rest
	case strings.HasPrefix(subject, "["):
		return subject + " " + rest
	}
	return subject + ": " + rest
}

func (n *node) describe() (subject, rest string) {
	p := n.path
	switch {
	case len(p) == 0:
		return "", "the file"
	case len(p) >= 2 && p[0] == "channels":
		return fmt.Sprintf("channel %q", p[1]), dotted(p[2:])
	case len(p) >= 2 && p[0] == "sources":
		return fmt.Sprintf("source %q", p[1]), dotted(p[2:])
	case len(p) >= 2 && p[0] == "handlers":
		return fmt.Sprintf("handler %q", p[1]), dotted(p[2:])
	case len(p) >= 2 && p[0] == "routes":
		return "route " + strings.TrimPrefix(p[1], delim), dotted(p[2:])
	case len(p) >= 2 && p[0] == "tests":
		return "test " + strings.TrimPrefix(p[1], delim), dotted(p[2:])
	case singleTable(p[0]):
		return "[" + p[0] + "]", dotted(p[1:])
	}
	return "", dotted(p)
}

// dotted is a path as errors show it: "limits.size, item 1".
func dotted(path []string) string {
	text := strings.Join(path, ".")
	text = strings.ReplaceAll(text, "."+delim, ", item ")
	return strings.ReplaceAll(text, delim, "item ")
}

// hasHeader reports whether n is a table that is written [as.here], not { as = here }.
func (n *node) hasHeader() bool { return n.table != nil && n.key == n.at }

// kind names what n holds, for errors.
func (n *node) kind() string {
	switch v := n.value.(type) {
	case nil:
		if n.list != nil {
			return "a list"
		}
		return "a table"
	case string:
		switch {
		case n.commas:
			return "another text"
		case n.secret && n.source == "":
			return "a text"
		case n.source != "":
			// The value may be a secret; what is written is not.
			return "another text from " + n.source
		}
		return fmt.Sprintf("the text %q", shorten(v))
	case bool:
		return fmt.Sprintf("the boolean %t", v)
	case int64, float64:
		if n.secret {
			return "a number"
		}
		return fmt.Sprintf("the number %v", v)
	}
	return fmt.Sprintf("the date or time %v", n.value)
}

// quoted is a name as errors show it. Names are no secrets, so the value of a
// variable is shown, beside the reference; but who reads a file has a secret in mind, and so
// has who names a variable like one.
func (n *node) quoted(text string) string {
	if n.source != "" && saidSecret(n.source) {
		return n.source
	}
	if n.secret {
		return strconv.Quote(hidden)
	}
	if n.source != "" && !n.commas {
		return fmt.Sprintf("%q (from %s)", shorten(text), n.source)
	}
	return fmt.Sprintf("%q", shorten(text))
}

// children are the values of a table, sorted by key.
func (n *node) children() []*node {
	children := make([]*node, 0, len(n.table))
	for _, child := range n.table {
		children = append(children, child)
	}
	slices.SortFunc(children, func(a, b *node) int { return strings.Compare(a.name(), b.name()) })
	return children
}

// name is the last key of the path.
func (n *node) name() string {
	if len(n.path) == 0 {
		return ""
	}
	return n.path[len(n.path)-1]
}
