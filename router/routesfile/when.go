package routesfile

import (
	"errors"
	"fmt"
	"strings"

	"signalbox/router"
	"signalbox/router/routesfile/condition"
)

// maxConditions is how many bytes the conditions of a configuration may have together, those
// that are the same counted once: compiling more would take more than a second.
const maxConditions = 512 << 10

// conditionOf compiles what a route says under when. It is nil without that, or when
// it is wrong or not known.
func (e *expander) conditionOf(raw *rawRoute) router.Condition {
	n := raw.node.sure("when")
	if n == nil {
		return nil
	}
	text, ok := n.value.(string)
	if !ok || e.report.full() {
		return nil
	}
	if e.conditions == nil {
		made, err := condition.NewCompiler(e.raw.Service.Name)
		if err != nil {
			e.report.errorf(n.at, "%s: %s", n.label(), err)
			return nil
		}
		e.conditions, e.compiled = made, make(map[string]router.Condition)
	}
	if known := e.compiled[text]; known != nil {
		return known
	}
	before := e.conditionBytes
	if e.conditionBytes += len(text); e.conditionBytes > maxConditions {
		if before > maxConditions {
			return nil // told once
		}
		e.report.errorf(n.at, "%s: the conditions are longer than %d KiB together; write fewer, such as one with event.data.x in [\"a\", \"b\"] for several", n.label(), maxConditions>>10)
		return nil
	}
	when, err := e.conditions.Compile(text)
	if err != nil {
		at, exact := n.at, false
		wrong, placed := errors.AsType[*condition.Mistake](err)
		if placed {
			at, exact = e.report.texts.inside(n, wrong.Line, wrong.Column)
		}
		where := ""
		if placed && !exact {
			where = fmt.Sprintf("line %d, character %d: ", wrong.Line, wrong.Column)
		}
		if exact {
			e.report.widths[at] = wrong.Width
		}
		e.report.errorf(at, "%s: %s%s", n.label(), where, err)
		return nil
	}
	e.compiled[text] = when
	return when
}

// MistakeIn is an error of [condition.Compiler] about a text that stands in no file, such
// as one behind a flag of this name. It is shown as those of files are.
func MistakeIn(name, text string, err error) Error {
	at, width := place{file: name}, 0
	if wrong, placed := errors.AsType[*condition.Mistake](err); placed {
		at.line, at.column, width = wrong.Line, wrong.Column, wrong.Width
	}
	e := newReport().errorAt(at, err.Error())
	e.Excerpt = texts{name: []byte(text)}.excerpt(at, width, newCensor())
	return e
}

// inside is the place of a line and column of a text that a file has between quotes.
// Exact is false when it cannot be told, because the file writes the text otherwise.
func (t texts) inside(n *node, line, column int) (at place, exact bool) {
	written := t.from(n.at)
	start, rest, quote := n.at, written, ""
	for _, quotes := range []string{`'''`, `"""`, "'", `"`} {
		body, opened := strings.CutPrefix(written, quotes)
		if !opened {
			continue
		}
		start.column += len(quotes)
		rest, quote = body, quotes
		for _, end := range []string{"\n", "\r\n"} {
			if below, begins := strings.CutPrefix(body, end); begins && len(quotes) == 3 {
				start.line, start.column, rest = start.line+1, 1, below
			}
		}
		break
	}
	if past, ok := escaped(rest, fmt.Sprint(n.value), column); ok && quote == `"` && n.source == "" {
		return place{start.file, start.line, start.column + past}, true
	}
	if n.source != "" || len(rest) == len(written) || !strings.HasPrefix(rest, fmt.Sprint(n.value)) {
		return n.at, false
	}
	if line > 1 {
		return place{start.file, start.line + line - 1, column}, true
	}
	return place{start.file, start.line, start.column + column - 1}, true
}

// escaped is how many characters stand before the given one of a text in double quotes,
// where \" and its like are two for one. It is false when the text is another one.
func escaped(written, text string, column int) (past int, ok bool) {
	rest := []rune(written)
	for i, want := range []rune(text) {
		if i+1 == column {
			return past, true
		}
		width, have := 1, rune(0)
		if past < len(rest) {
			have = rest[past]
		}
		if have == '\\' && past+1 < len(rest) && (rest[past+1] == '"' || rest[past+1] == '\\') {
			width, have = 2, rest[past+1]
		}
		if have != want {
			return 0, false
		}
		past += width
	}
	return past, true
}
