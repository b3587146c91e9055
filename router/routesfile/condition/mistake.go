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
	Text         string
}

// Error is one line that says what to write.
func (m *Mistake) Error() string { return m.Text }

// mistake is a complaint of CEL, with a remedy.
func mistake(expression string, first *common.Error) error {
	m := &Mistake{Line: 1, Column: 1}
	if l := first.Location; l != nil && l.Line() > 0 {
		m.Line, m.Column = l.Line(), l.Column()+1
	}
	message := line(first.Message)
	if name, ok := quotedAfter(message, "undefined field '"); ok {
		m.Column++ // CEL points at the dot
		m.Text = fmt.Sprintf("event has no field %q%s", name, suggestion("fields", name, fieldNames()))
		if _, near := nearest.Name(name, fieldNames()); !near {
			m.Text += fmt.Sprintf("; a member of the message's data is event.data.%s", name)
		}
		return m
	}
	if name, ok := quotedAfter(message, "undeclared reference to '"); ok {
		m.undeclared(expression, name)
		return m
	}
	if rest, ok := strings.CutPrefix(message, "found no matching overload for '"); ok {
		name, args, _ := strings.Cut(rest, "' applied to ")
		remedy := ""
		if strings.Contains(args, "double") && strings.Contains(args, "int") {
			remedy = "; write 2.0 rather than 2 beside a double"
		} else if strings.Contains(args, "timestamp") && strings.Contains(args, "string") {
			remedy = `; write a time as timestamp("2026-11-21T23:30:00Z")`
		}
		m.Text = fmt.Sprintf("%s cannot be applied to %s%s", operator(name), strings.Trim(args, "'"), remedy)
		return m
	}
	if m.word(expression) {
		return m
	}
	m.Text = syntax(strings.TrimPrefix(message, "Syntax error: "))
	return m
}

// word finds an operator that is a word in other languages, at the place or before it, where
// CEL takes it for a name.
func (m *Mistake) word(expression string) bool {
	lines := strings.Split(expression, "\n")
	text := []rune(lines[min(m.Line, len(lines))-1])
	begin := min(m.Column-1, len(text))
	for _, from := range []int{begin, begin - 1 - len("not"), begin - 1 - len("or")} {
		if from < 0 {
			continue
		}
		first, _, _ := strings.Cut(string(text[from:]), " ")
		if sign, is := map[string]string{"and": "&&", "or": "||", "not": "!"}[strings.ToLower(first)]; is {
			m.Column, m.Text = from+1, first+" is nothing in CEL; write "+sign
			return true
		}
	}
	return false
}

// undeclared is about a name that is nothing: CEL points at it, or at its parenthesis.
func (m *Mistake) undeclared(expression, name string) {
	lines := strings.Split(expression, "\n")
	if text := []rune(lines[min(m.Line, len(lines))-1]); m.Column <= len(text) && text[m.Column-1] == '(' {
		m.Column = max(1, m.Column-len([]rune(name)))
		functions := []string{"all", "contains", "double", "duration", "endsWith", "exists", "exists_one", "filter", "has", "int", "map", "matches", "size", "startsWith", "string", "timestamp"}
		m.Text = fmt.Sprintf("unknown function %q%s", name, suggestion("functions", name, functions))
		return
	}
	if near, ok := nearest.Name(name, []string{"event", "service"}); ok {
		m.Text = fmt.Sprintf("unknown name %q; did you mean %q?", name, near)
		return
	}
	m.Text = fmt.Sprintf("unknown name %[1]q; text needs quotes, \"%[1]s\", and members are event.data.%[1]s", name)
}

// unexpected matches the parser's words for a token that may not stand where it does.
var unexpected = regexp.MustCompile(`^(?:mismatched|extraneous) input '(.*?)' expecting|^no viable alternative at input '(.*)'|^token recognition error at: '(.*)'`)

// syntax says what a message of the parser means to somebody who does not know CEL.
func syntax(message string) string {
	switch {
	case strings.HasPrefix(message, "missing ')'"):
		return "a ) is missing here"
	case strings.HasPrefix(message, "missing ']'"):
		return "a ] is missing here"
	}
	found := unexpected.FindStringSubmatch(message)
	if found == nil {
		return message
	}
	i := slices.IndexFunc(found[1:], func(text string) bool { return text != "" })
	if i < 0 {
		return message
	}
	switch token := strings.TrimSpace(found[i+1]); {
	case strings.HasSuffix(token, "<EOF>"):
		return "the condition ends too early; something is missing at its end"
	case token == "=":
		return "= alone is nothing in CEL; write == to compare"
	case token == "&", token == "|":
		return fmt.Sprintf("%[1]s alone is nothing in CEL; write %[1]s%[1]s", token)
	case strings.HasPrefix(token, "'"), strings.HasPrefix(token, `"`):
		return fmt.Sprintf("the text %s cannot stand here; it is not closed, or an operator such as == is missing before it", token)
	default:
		return fmt.Sprintf("%s cannot stand here; a member whose name is not letters, digits and _ is written event.data[\"name\"]", token)
	}
}

func quotedAfter(message, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(message, prefix)
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(rest, "'")
	return name, ok
}

// operator is a CEL function as it is written.
func operator(name string) string {
	if sign, ok := operators.FindReverse(name); ok && sign != "" {
		return sign
	}
	return strings.Trim(name, "_")
}

func suggestion(what, name string, valid []string) string {
	if near, ok := nearest.Name(name, valid); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; " + what + ": " + strings.Join(valid, ", ")
}
