package condition

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

const (
	maxShown = 60 // bytes of a value that is shown
	maxPaths = 4  // of a clause
)

// values is what stood in a clause: both sides of a comparison, else what it reads.
func (q *question) values(clause ast.Expr) string {
	read := paths(clause, nil)
	inner := clause
	for isCall(inner, operators.LogicalNot) {
		inner = inner.AsCall().Args()[0]
	}
	if missing := q.firstMissing(read); missing != "" && q.truth(clause) == failed {
		return missing + " is missing"
	}
	if sides, ok := q.comparison(inner); ok {
		return sides
	}
	var words []string
	for _, path := range read {
		word := q.stands(path)
		if word != "" && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if len(words) > maxPaths {
		words = append(words[:maxPaths], "…")
	}
	return strings.Join(words, ", ")
}

// stands says what stands at a path, if that can be said.
func (q *question) stands(path ast.Expr) string {
	if missing := q.firstMissing([]ast.Expr{path}); missing != "" {
		return missing + " is missing"
	}
	value, found := q.read(path)
	if !found {
		return ""
	}
	text, ok := show(value)
	if !ok {
		return ""
	}
	return plainPath(q.source(path)) + " is " + text
}

// read is what stands at a path, also at one in has(…).
func (q *question) read(path ast.Expr) (value any, found bool) {
	v := &view{event: q.event}
	if path.Kind() == ast.SelectKind && path.AsSelect().IsTestOnly() {
		of, ok := lookup(v, path.AsSelect().Operand())
		if !ok {
			return nil, false
		}
		return member(of, path.AsSelect().FieldName())
	}
	return lookup(v, path)
}

// plainPath is a path that may be written has(path).
func plainPath(text string) string {
	if inner, ok := strings.CutPrefix(text, "has("); ok {
		return strings.TrimSuffix(inner, ")")
	}
	return text
}

// comparison is both sides of a comparison of which one reads the event.
func (q *question) comparison(e ast.Expr) (sides string, ok bool) {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
		return "", false
	}
	call := e.AsCall()
	sign, is := operators.FindReverse(call.FunctionName())
	if !is || !slices.Contains([]string{"==", "!=", "<", "<=", ">", ">=", "in"}, sign) {
		return "", false
	}
	left, known := q.shown(call.Args()[0])
	right, also := q.shown(call.Args()[1])
	return left + " " + sign + " " + right, known && also && len(paths(e, nil)) > 0
}

// shown is the value of a part of the condition, if it can be shown.
func (q *question) shown(e ast.Expr) (text string, ok bool) {
	// Read here rather than taken from the evaluation, an object is still as it came.
	if value, found := lookup(&view{event: q.event}, e); found {
		return show(value)
	}
	if e.Kind() == ast.ListKind || e.Kind() == ast.MapKind {
		return q.source(e), true
	}
	value, found := q.state.Value(e.ID())
	if !found {
		return "", false
	}
	return show(value)
}

// show is a value for a person. What is neither simple nor as it came has no text.
func show(value any) (text string, ok bool) {
	switch v := value.(type) {
	case string:
		return strconv.Quote(shorten(v)), true
	case types.String:
		return strconv.Quote(shorten(string(v))), true
	case *object:
		return shorten(line(v.raw)), true
	case array:
		return shorten(line(string(v))), true
	case float64, int64, uint64, bool, types.Bool, types.Double, types.Int, types.Uint:
		return fmt.Sprint(v), true
	case types.Null:
		return "null", true
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), true
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), true
	case types.Duration:
		return v.String(), true
	}
	return "", false
}

func shorten(text string) string {
	if len(text) <= maxShown {
		return text
	}
	end := maxShown
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// paths are what a part reads of the event: event.data.a["b"] once, and not event.data too.
func paths(e ast.Expr, found []ast.Expr) []ast.Expr {
	if of, _, ok := step(e); ok {
		if base := root(e); base != nil {
			return append(found, e)
		}
		found = paths(of, found)
		if e.Kind() == ast.CallKind {
			found = paths(e.AsCall().Args()[1], found)
		}
		return found
	}
	switch e.Kind() {
	case ast.CallKind:
		for _, arg := range arguments(e) {
			found = paths(arg, found)
		}
	case ast.ComprehensionKind:
		loop := e.AsComprehension()
		for _, inner := range []ast.Expr{loop.IterRange(), loop.LoopCondition(), loop.LoopStep()} {
			found = paths(inner, found)
		}
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			found = paths(element, found)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			found = paths(entry.AsMapEntry().Key(), found)
			found = paths(entry.AsMapEntry().Value(), found)
		}
	}
	return found
}

// step is the part before the last .name or [index] of a path, and whether the last is
// written out, so that it can be looked up.
func step(e ast.Expr) (of ast.Expr, literal, ok bool) {
	switch {
	case e.Kind() == ast.SelectKind:
		return e.AsSelect().Operand(), true, true
	case isCall(e, operators.Index):
		args := e.AsCall().Args()
		return args[0], args[1].Kind() == ast.LiteralKind, true
	}
	return nil, false, false
}

// root is the field of the event that a path begins with; nil for a path from elsewhere.
func root(e ast.Expr) ast.Expr {
	of, _, ok := step(e)
	if !ok {
		return nil
	}
	if of.Kind() == ast.IdentKind && of.AsIdent() == "event" {
		return e
	}
	return root(of)
}

// firstMissing is the shortest beginning of the paths that the event lacks.
func (q *question) firstMissing(paths []ast.Expr) string {
	for _, path := range paths {
		if missing := q.missing(path); missing != nil {
			return plainPath(q.source(missing))
		}
	}
	return ""
}

func (q *question) missing(path ast.Expr) ast.Expr {
	of, literal, ok := step(path)
	if !ok {
		return nil
	}
	if earlier := q.missing(of); earlier != nil || !literal {
		return earlier
	}
	if _, known := lookup(&view{event: q.event}, of); !known {
		return nil // beyond an index that is not written out
	}
	if _, there := q.read(path); there {
		return nil
	}
	return path
}
