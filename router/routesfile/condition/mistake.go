package condition

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/operators"

	"signalbox/router/internal/nearest"
)

// Mistake is an error at a place of an expression.
type Mistake struct {
	Line, Column int // from 1; Column counts characters
	Width        int // characters that it is about, from 1
	Text         string

	lines         []string
	before, after string // of the line, around the place
}

// Error is one line that says what to write.
func (m *Mistake) Error() string { return m.Text }

// mistake is a complaint of CEL, with a remedy.
func mistake(expression string, first *common.Error) error {
	m := &Mistake{Line: 1, Column: 1, lines: strings.Split(expression, "\n")}
	if l := first.Location; l != nil && l.Line() > 0 {
		m.Line, m.Column = l.Line(), max(1, l.Column()+1) // of what is nowhere it is -1
	}
	m.look()
	message := line(first.Message)
	switch {
	case strings.HasPrefix(message, "undefined field '"):
		m.move(1) // CEL points at the dot
		m.Text = noField(quotedAfter(message, "undefined field '"))
	case strings.HasPrefix(message, "undeclared reference to '"):
		m.undeclared(quotedAfter(message, "undeclared reference to '"))
	case strings.HasPrefix(message, "found no matching overload for '"):
		name, args, _ := strings.Cut(strings.TrimPrefix(message, "found no matching overload for '"), "' applied to ")
		args = strings.Trim(args, "'")
		m.Text = fmt.Sprintf("%s cannot be applied to %s%s", operator(name), args, m.overload(operator(name), args))
	case strings.Contains(message, "does not support field selection"):
		m.noMembers()
	case strings.HasPrefix(message, "invalid argument to has()"):
		m.Text = "has needs a member with a dot before its name, such as has(event.data.name)"
	default:
		m.Text = m.syntax(strings.TrimPrefix(message, "Syntax error: "))
	}
	if m.Width = len([]rune(wordAt.FindString(m.after))); m.Width == 0 {
		m.Width = max(1, len([]rune(signsAt.FindString(m.after))))
	}
	return m
}

var (
	wordAt  = regexp.MustCompile(`^(?:[\p{L}\p{N}_]+|"[^"]*"?|'[^']*'?)`)
	signsAt = regexp.MustCompile(`^[=!<>&|*.]+`)
	wordEnd = regexp.MustCompile(`([\p{L}\p{N}_]+)\s*$`)
)

// look notes what stands around the place.
func (m *Mistake) look() {
	text := []rune(m.lines[min(m.Line, len(m.lines))-1])
	at := min(m.Column-1, len(text))
	m.before, m.after = string(text[:at]), string(text[at:])
}

func (m *Mistake) move(by int) {
	m.Column = max(1, m.Column+by)
	m.look()
}

// moveBack moves to where a text that ends the line so far begins.
func (m *Mistake) moveBack(text string) { m.move(-len([]rune(text))) }

func noField(name string) string {
	text := fmt.Sprintf("event has no field %q%s", name, suggestion("fields", name, fieldNames()))
	if _, near := nearest.Name(name, fieldNames()); !near {
		text += fmt.Sprintf("; a member of the message's data is event.data.%s", name)
	}
	return text
}

// undeclared is about a name that is nothing: CEL points at it, or at its parenthesis.
func (m *Mistake) undeclared(name string) {
	if strings.HasPrefix(m.after, "(") {
		m.moveBack(name)
		m.Text = unknownFunction(name)
		return
	}
	if bare, dotted := strings.CutPrefix(name, "."); dotted {
		m.Text = fmt.Sprintf("a name is missing before .%s; write event.%[1]s", bare)
		return
	}
	for _, known := range []string{"event", "service", "true", "false", "null"} {
		if strings.EqualFold(name, known) {
			m.Text = fmt.Sprintf("unknown name %q; write %s", name, known)
			return
		}
	}
	hyphened := hyphenEnd.FindStringSubmatch(m.before)
	near, ok := nearest.Name(name, []string{"event", "service"})
	switch {
	case strings.EqualFold(name, "none"), strings.EqualFold(name, "nil"), name == "undefined":
		m.Text = fmt.Sprintf("unknown name %q; write null, or !has(…) around a member that may be missing", name)
	case name == "now":
		m.Text = noClock
	case hyphened != nil:
		m.Text = fmt.Sprintf("unknown name %q; a member with a - in its name is written [\"%s-%[1]s\"]", name, hyphened[1])
	case ok:
		m.Text = fmt.Sprintf("unknown name %q; did you mean %q?", name, near)
	case slices.Contains(fieldNames(), name):
		m.Text = fmt.Sprintf("unknown name %q; write event.%[1]s", name)
	default:
		m.Text = fmt.Sprintf("unknown name %[1]q; text needs quotes, \"%[1]s\", and members are event.data.%[1]s", name)
	}
}

const noClock = "a condition knows no present time; write max_age beside it to leave old events out"

// hyphenEnd matches a member and the - after it.
var hyphenEnd = regexp.MustCompile(`\.(\w+(?:-\w+)*)-$`)

// unknownFunction is about a function that other languages have, or that is mistyped.
func unknownFunction(name string) string {
	if slices.Contains([]string{"all", "exists", "exists_one", "filter", "map"}, name) {
		return fmt.Sprintf("%s takes a name and what to ask of it, such as event.data.list.%[1]s(x, x > 1)", name)
	}
	return fmt.Sprintf("unknown function %q%s", name, functionRemedy(name))
}

func functionRemedy(name string) string {
	functions := []string{"all", "contains", "double", "duration", "endsWith", "exists", "exists_one", "filter", "has", "int", "map", "matches", "size", "startsWith", "string", "timestamp"}
	meant := ""
	switch strings.ToLower(name) {
	case "len", "length", "count":
		meant = "size"
	case "str":
		meant = "string"
	case "float", "number", "decimal":
		meant = "double"
	case "any", "some":
		meant = "exists"
	case "includes":
		meant = "contains"
	case "match", "search", "regex":
		meant = "matches"
	case "get":
		return `; a member is written event.data.name, or event.data["name"]`
	case "now", "time":
		return "; " + noClock
	case "lower", "upper", "tolower", "toupper", "lowerascii":
		return `; to leave case out of it write .matches("(?i)text")`
	case "is_none", "isnull", "exist", "defined":
		return "; has(event.data.name) asks whether a member is there"
	}
	if meant != "" {
		return fmt.Sprintf("; did you mean %q?", meant)
	}
	return suggestion("functions", name, functions)
}

// overload is what to write where an operator cannot be applied to its arguments.
func (m *Mistake) overload(sign, args string) string {
	has := func(types ...string) bool {
		for _, one := range types {
			if !strings.Contains(args, one) {
				return false
			}
		}
		return true
	}
	compares := strings.ContainsAny(sign, "<>=")
	switch {
	case has("double", "int"):
		return "; write 2.0 rather than 2 beside a double"
	case has("timestamp", "string"), has("timestamp", "int"), has("timestamp", "double"):
		return `; write a time as timestamp("2026-11-21T23:30:00Z")`
	case has("duration", "string"):
		return `; write a duration as duration("5s")`
	case has("type("):
		return "; the type of an event is event.type"
	case sign == "[…]" && has("Event, string"):
		return `; a field of event is written with a dot: event.data`
	case compares && has("string", "null"):
		return `; a text is never null: compare it with ""`
	case compares && has("string"):
		return "; a text is compared with a text: put the other side in quotes"
	case strings.HasPrefix(args, "(bool, ") && strings.ContainsAny(sign, "<>"):
		return "; write a < b && b < c rather than a < b < c"
	case strings.HasPrefix(args, "(bool, ") && strings.Contains(m.before, "!"):
		return "; write !(a == b), or a != b"
	}
	return ""
}

// noMembers is about .name behind what has none: CEL points at the dot.
func (m *Mistake) noMembers() {
	of := selected.FindString(m.before)
	if strings.EqualFold(of, "event") {
		m.moveBack(of)
		m.Text = fmt.Sprintf("unknown name %q; write event", of)
		return
	}
	m.move(1)
	m.Text = fmt.Sprintf("%s is a text and has no member %q", of, wordAt.FindString(m.after))
	if of == "" {
		m.Text = "what stands before this dot has no members"
	}
}

// selected matches the member or name that a text ends with.
var selected = regexp.MustCompile(`[\w.]+$`)

func quotedAfter(message, prefix string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(message, prefix), "'")
	return name
}

// operator is a CEL function as it is written.
func operator(name string) string {
	if sign, ok := operators.FindReverse(name); ok && sign != "" {
		return sign
	}
	if name == operators.Index {
		return "[…]"
	}
	return strings.Trim(name, "_")
}

func suggestion(what, name string, valid []string) string {
	if near, ok := nearest.Name(name, valid); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; " + what + ": " + strings.Join(valid, ", ")
}
