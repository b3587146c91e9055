package condition

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"signalbox/router"
)

const (
	maxText    = 4096      // bytes of an expression
	maxNodes   = 1000      // nodes of its tree
	maxNesting = 100       // levels of its tree
	maxLoops   = 3         // all, exists, map and so on, one within the other
	maxCost    = 1_000_000 // units of work of one evaluation, some 100 ns each
	maxRegexp  = 500       // instructions of a regular expression
	maxShort   = 500       // bytes of an expression without loops that is not counted
)

// Compiler compiles expressions for one service. It may be used concurrently.
type Compiler struct {
	env *cel.Env
}

// NewCompiler returns the Compiler of a service.
func NewCompiler(service string) (*Compiler, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	env, err := cel.NewEnv(
		cel.CustomTypeProvider(provider{registry}),
		cel.CustomTypeAdapter(adapter{registry}),
		cel.Variable("event", cel.ObjectType(eventType)),
		cel.Constant("service", cel.StringType, types.String(service)),
		cel.CrossTypeNumericComparisons(true),
		cel.EnableMacroCallTracking(), // to show has() and loops as they are written
		cel.RegexProgramSizeLimit(maxRegexp),
		cel.ParserExpressionSizeLimit(maxText),
		cel.ParserRecursionLimit(maxNesting),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ExpressionNestingDepthLimit(maxNesting),
	)
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	return &Compiler{env}, nil
}

// Compile compiles one expression. Its error is one line that says what to write.
func (c *Compiler) Compile(text string) (router.Condition, error) {
	when, err := c.compile(text)
	if err != nil {
		return nil, err
	}
	return when.ask, nil
}

func (c *Compiler) compile(text string) (*expression, error) {
	tree, loops, err := c.check(text)
	if err != nil {
		return nil, err
	}
	return c.expression(tree, loops > 0 || len(text) > maxShort)
}

// ErrMissing is what a condition of [Compiler.CompileStrict] says when a message lacks a
// member that it reads.
var ErrMissing = errors.New("the message lacks a member that the condition reads")

// CompileStrict is Compile for who wants to tell an event that doesn't match from one that
// could not be asked: where a route takes what is missing for no match, this condition has
// the error [ErrMissing].
func (c *Compiler) CompileStrict(text string) (router.Condition, error) {
	when, err := c.compile(text)
	if err != nil {
		return nil, err
	}
	when.strict = true
	return when.ask, nil
}

// check parses an expression and says what is wrong with it.
func (c *Compiler) check(text string) (tree *cel.Ast, loops int, err error) {
	if strings.TrimSpace(text) == "" {
		return nil, 0, errors.New("the condition is empty; remove it, or write one such as event.data.bot == service")
	}
	if len(text) > maxText {
		return nil, 0, fmt.Errorf("the condition has more than %d characters; write less", maxText)
	}
	tree, issues := c.env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, 0, mistake(text, issues.Errors()[0])
	}
	if out := tree.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, 0, fmt.Errorf("the condition is %s, not true or false; compare it with something", article(out.String()))
	}
	loops, literal := survey(tree.NativeRep().Expr(), 0)
	if literal {
		return nil, 0, errors.New("the condition makes a message; it can only compare values")
	}
	if loops > maxLoops {
		return nil, 0, fmt.Errorf("the condition has %d loops (all, exists, …) one within the other; write %d at most", loops, maxLoops)
	}
	return tree, loops, nil
}

// expression makes what evaluates a tree that was checked.
func (c *Compiler) expression(tree *cel.Ast, long bool) (*expression, error) {
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if long {
		// Without a loop the work is at most the size of the expression times that of
		// the message, and counting it would double the time.
		options = append(options, cel.CostLimit(maxCost))
	}
	program, err := c.env.Program(tree, options...)
	if err != nil {
		return nil, errors.New(constant(line(err.Error())))
	}
	e := &expression{tree: tree.NativeRep(), program: program, long: long}
	e.views.New = func() any { return &view{decode: long} }
	return e, nil
}

// expression is a compiled condition.
type expression struct {
	tree    *ast.AST
	program cel.Program
	long    bool // loops over a message, or looks at it often
	strict  bool // what is missing is an error
	views   sync.Pool
}

func (e *expression) ask(event *router.Event) (bool, error) {
	v := e.views.Get().(*view)
	v.event = event
	result, _, err := e.program.Eval(v)
	matches, ok := result.(types.Bool)
	switch {
	case err == nil && ok:
	case err == nil:
		err = fmt.Errorf("the condition is %s, not true or false; compare it with something", kindOf(result).what)
	case absent(err) && e.strict:
		err = ErrMissing
	case absent(err):
		err = nil
	default:
		err = e.explain(v, err)
	}
	*v = view{decode: e.long}
	e.views.Put(v)
	return bool(matches) && err == nil, err
}

// absent reports whether err only says that the message has no such member.
func absent(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "no such key: ") || strings.HasPrefix(text, "index out of bounds: ") ||
		strings.HasPrefix(text, "unsupported index ") // a name, or 1.5, of a list
}

// survey counts how deep loops nest, and whether messages are made.
func survey(e ast.Expr, above int) (loops int, literal bool) {
	loops = above
	visit := func(inner ast.Expr, at int) {
		deep, made := survey(inner, at)
		loops, literal = max(loops, deep), literal || made
	}
	switch e.Kind() {
	case ast.ComprehensionKind:
		loop := e.AsComprehension()
		visit(loop.IterRange(), above)
		for _, inner := range []ast.Expr{loop.AccuInit(), loop.LoopCondition(), loop.LoopStep(), loop.Result()} {
			visit(inner, above+1)
		}
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			visit(call.Target(), above)
		}
		for _, arg := range call.Args() {
			visit(arg, above)
		}
	case ast.SelectKind:
		visit(e.AsSelect().Operand(), above)
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			visit(element, above)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			visit(entry.AsMapEntry().Key(), above)
			visit(entry.AsMapEntry().Value(), above)
		}
	case ast.StructKind:
		literal = true
	}
	return loops, literal
}

// constant says what is wrong in a text that CEL reads once, before any message.
func constant(message string) string {
	if rest, ok := strings.CutPrefix(message, "error parsing regexp: "); ok {
		return "the regular expression is wrong: " + rest
	}
	switch {
	case strings.Contains(message, "RFC 3339"):
		return message + `; write timestamp("2026-11-21T23:30:00Z")`
	case strings.Contains(message, "google.protobuf.Duration"):
		return `the duration is wrong; write a number and its unit, such as duration("500ms") or duration("5m")`
	}
	return message
}

// line is text on one line, and not too long.
func line(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
