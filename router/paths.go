package router

import (
	"strings"

	"github.com/tidwall/gjson"
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

func (m *member) find(name string) *member {
	for _, c := range m.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// walker finds the slots of one message. It is reused, and so is the func value that
// gjson calls: a closure per message would be an allocation per message.
type walker struct {
	visitFunc func(key, value gjson.Result) bool

	at    *member
	seen  []bool
	slots [slotCount]gjson.Result
	twice *member // a member that stands twice, or nil
	where int     // byte of its second name
}

func newWalker(members int) *walker {
	w := &walker{seen: make([]bool, members)}
	w.visitFunc = w.visit
	return w
}

// walk reads the members of a valid JSON object.
func (w *walker) walk(root *member, object gjson.Result) {
	clear(w.seen)
	w.slots = [slotCount]gjson.Result{}
	w.twice = nil
	w.at = root
	object.ForEach(w.visitFunc)
}

func (w *walker) visit(key, value gjson.Result) bool {
	m := w.at.find(key.Str)
	if m == nil {
		return true
	}
	if w.seen[m.index] {
		w.twice, w.where = m, key.Index
		return false
	}
	w.seen[m.index] = true
	for _, s := range m.slots {
		w.slots[s] = value
	}
	if len(m.children) > 0 && value.IsObject() {
		outer := w.at
		w.at = m
		value.ForEach(w.visitFunc)
		w.at = outer
	}
	return w.twice == nil
}
