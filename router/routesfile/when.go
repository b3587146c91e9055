package routesfile

import (
	"errors"
	"fmt"
	"strings"

	"signalbox/router"
	"signalbox/router/routesfile/condition"
)

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
		e.conditions = made
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
		e.report.errorf(at, "%s: %s%s", n.label(), where, err)
		return nil
	}
	return when
}

// inside is the place of a line and column of a text that a file has between quotes.
// Exact is false when it cannot be told, because the file writes the text otherwise.
func (t texts) inside(n *node, line, column int) (at place, exact bool) {
	written := t.from(n.at)
	start, rest := n.at, written
	for _, quotes := range []string{`'''`, `"""`, "'", `"`} {
		body, opened := strings.CutPrefix(written, quotes)
		if !opened {
			continue
		}
		start.column += len(quotes)
		rest = body
		for _, end := range []string{"\n", "\r\n"} {
			if below, begins := strings.CutPrefix(body, end); begins && len(quotes) == 3 {
				start.line, start.column, rest = start.line+1, 1, below
			}
		}
		break
	}
	if n.source != "" || len(rest) == len(written) || !strings.HasPrefix(rest, fmt.Sprint(n.value)) {
		return n.at, false
	}
	if line > 1 {
		return place{start.file, start.line + line - 1, column}, true
	}
	return place{start.file, start.line, start.column + column - 1}, true
}
