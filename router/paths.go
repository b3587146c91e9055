package router

import (
	"slices"
	"strings"
)

// slot is one of the places in a message that the decoder reads.
type slot int

const (
	slotType slot = iota
	slotID
	slotTime
	slotSource
	slotKey
	slotData
	slotSeq
	slotTraceParent
	slotTraceState
	slotSplit // only of a message around an array
	slotCount
	noSlot slot = -1
)

// member is a name on the way to one or more slots. The members of a channel form a
// tree, so that one pass over a message finds all of them and sees a name that
// stands twice.
type member struct {
	name     string
	path     string // dotted, from the message
	index    int    // among all members of the tree: its place in walker.seen
	slots    []slot // filled from this member's value
	children []*member
}

// memberTree builds the tree of dotted paths; an empty path is left out.
func memberTree(paths [slotCount]string) (root *member, count int) {
	root = &member{}
	for s, path := range paths {
		if path == "" {
			continue
		}
		m := root
		for name := range strings.SplitSeq(path, ".") {
			m = m.child(name, &count)
		}
		m.slots = append(m.slots, slot(s))
	}
	return root, count
}

// child returns the child of that name, adding it when it is new.
func (m *member) child(name string, count *int) *member {
	if c := m.find(name); c != nil {
		return c
	}
	c := &member{name: name, path: strings.TrimPrefix(m.path+"."+name, "."), index: *count}
	*count++
	m.children = append(m.children, c)
	return c
}

// onlyTraces reports whether nothing but the trace context is read from this member.
func (m *member) onlyTraces() bool {
	return len(m.children) == 0 && !slices.ContainsFunc(m.slots, func(s slot) bool { return s != slotTraceParent && s != slotTraceState })
}

func (m *member) find(name string) *member {
	for _, c := range m.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// walker reads one message. It is reused.
type walker struct {
	seen  []bool
	slots [slotCount]found
	twice *member // a member that stands twice, or nil
	where int     // byte of its second name
	whole found   // the message itself, without the space around it

	text       string
	depth      int  // of arrays and objects around what is being read
	kind       kind // of the value that was read last
	escaped    bool // the string that was read last has escapes
	foreign    bool // there are bytes beyond ASCII
	surrogates bool // there is an escape that may be half a character
}

func newWalker(members int) *walker { return &walker{seen: make([]bool, members)} }
