package condition

import (
	"errors"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	"signalbox/router"
)

// Answer is what a condition says of one event, and why. Clause and Values show what is
// in the event: they are for who asked, and not for a log.
type Answer struct {
	Matches bool
	Unknown bool  // it depends on a field that is not known
	Err     error // it cannot be evaluated: the event fails on its route
	// Clause is the part between && that decided so, as it is written; empty when the
	// condition is true.
	Clause string
	// Values is what stood in the clause, such as `"momentum-2" == "momentum-1"` or
	// `event.data.celsius is missing`. It is empty when nothing of the event did.
	Values string
}

// Explain asks a condition about an event of which the fields named in unknown, such as
// "data", are not known.
func (c *Compiler) Explain(text string, event *router.Event, unknown ...string) (Answer, error) {
	tree, loops, err := c.check(text)
	if err != nil {
		return Answer{}, err
	}
	long := loops > 0 || len(text) > maxShort
	e, err := c.expression(tree, long)
	if err != nil {
		return Answer{}, err
	}
	q := &question{expression: e, event: event, unknown: unknown}
	if q.state, err = c.trace(tree, event, len(unknown) > 0); err != nil {
		return Answer{}, err
	}
	return q.answer(), nil
}

// trace evaluates a tree and keeps what each part of it was. All says to evaluate also
// what cannot change the result.
func (c *Compiler) trace(tree *cel.Ast, event *router.Event, all bool) (interpreter.EvalState, error) {
	how := cel.OptTrackState
	if all {
		how = cel.OptExhaustiveEval
	}
	program, err := c.env.Program(tree, cel.EvalOptions(how), cel.CostLimit(maxCost))
	if err != nil {
		return nil, errors.New(line(err.Error()))
	}
	// What is wrong is looked for in the parts.
	_, details, _ := program.Eval(&view{event: event, decode: true})
	if details == nil {
		return interpreter.NewEvalState(), nil
	}
	return details.State(), nil
}

// question is a condition that is asked about one event.
type question struct {
	*expression
	event   *router.Event
	unknown []string
	state   interpreter.EvalState
}

// truth is what a part of a condition is.
type truth int

const (
	no truth = iota
	yes
	failed
	notKnown
)

func (q *question) answer() Answer {
	if q.truth(q.tree.Expr()) == notKnown {
		return q.because(notKnown, Answer{Unknown: true})
	}
	// What is not known doesn't matter, so the condition itself knows best.
	matches, err := q.ask(q.event)
	switch {
	case err != nil:
		return q.because(failed, Answer{Err: err})
	case matches:
		return Answer{Matches: true}
	default:
		return q.because(no, Answer{})
	}
}

// because adds the clause that is so. A condition is also false when the message lacks
// what a clause reads.
func (q *question) because(is truth, a Answer) Answer {
	clauses := conjuncts(q.tree.Expr(), nil)
	i := slices.IndexFunc(clauses, func(e ast.Expr) bool { return q.truth(e) == is })
	if i < 0 {
		i = slices.IndexFunc(clauses, func(e ast.Expr) bool { return q.truth(e) == failed })
	}
	if i < 0 {
		i = 0
	}
	a.Clause = q.source(clauses[i])
	if is != notKnown {
		a.Values = q.values(clauses[i])
	}
	return a
}

// conjuncts are the parts between &&.
func conjuncts(e ast.Expr, found []ast.Expr) []ast.Expr {
	if !isCall(e, operators.LogicalAnd) {
		return append(found, e)
	}
	for _, arg := range e.AsCall().Args() {
		found = conjuncts(arg, found)
	}
	return found
}

func isCall(e ast.Expr, function string) bool {
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == function
}

// truth is what a part is. Neither what is unknown nor what failed matters where the rest
// decides, as in CEL.
func (q *question) truth(e ast.Expr) truth {
	switch {
	case isCall(e, operators.LogicalNot):
		return [...]truth{no: yes, yes: no, failed: failed, notKnown: notKnown}[q.truth(e.AsCall().Args()[0])]
	case isCall(e, operators.LogicalAnd):
		return q.among(e.AsCall().Args(), no, yes)
	case isCall(e, operators.LogicalOr):
		return q.among(e.AsCall().Args(), yes, no)
	case q.readsUnknown(e):
		return notKnown
	}
	value, _ := q.state.Value(e.ID())
	switch value {
	case types.True:
		return yes
	case types.False:
		return no
	}
	return failed
}

// among is decides when one of the parts is, else the worst there is, else otherwise.
func (q *question) among(parts []ast.Expr, decides, otherwise truth) truth {
	is := otherwise
	for _, part := range parts {
		one := q.truth(part)
		if one == decides {
			return one
		}
		if one == failed || one == notKnown {
			is = max(is, one)
		}
	}
	return is
}

func (q *question) readsUnknown(e ast.Expr) bool {
	return slices.ContainsFunc(paths(e, nil), func(path ast.Expr) bool {
		return slices.Contains(q.unknown, root(path).AsSelect().FieldName())
	})
}
