package condition

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// explain says what to write instead. It never shows a value, which may be a secret
// and would make each message a cause of its own in the log.
func (e *expression) explain(v *view, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "no such overload"):
		return e.explainType(v, err)
	case strings.Contains(text, "cost limit exceeded"):
		return fmt.Errorf("the condition takes more than %d steps on this message; loop over less, or send less", maxCost)
	case text == "division by zero", text == "modulus by zero", strings.HasSuffix(text, " overflow"),
		strings.HasPrefix(text, "the message "), strings.HasPrefix(text, "event is no value"):
		return errors.New(text)
	}
	call := e.failed(err, "")
	if call == nil {
		return errors.New("the condition cannot be evaluated on this message")
	}
	if slices.Contains([]string{"double", "int", "uint", "timestamp", "duration", "bool", "string", "bytes"}, call.AsCall().FunctionName()) {
		return fmt.Errorf("%s: the value cannot be converted", e.source(call))
	}
	return fmt.Errorf("%s: cannot be evaluated on this message", e.source(call))
}

// kind is the type of a value as people call it.
type kind struct {
	what    string // "a string"
	text    bool
	numeric bool
}

func kindOf(v ref.Val) kind {
	switch v := v.(type) {
	case nil:
		return kind{what: "unknown"}
	case types.Double, types.Int, types.Uint:
		return kind{what: article(v.Type().TypeName()), numeric: true}
	case types.String:
		return kind{what: "a string", text: true}
	case types.Null:
		return kind{what: "null"}
	default:
		return kind{what: article(strings.TrimPrefix(v.Type().TypeName(), "google.protobuf."))}
	}
}

func article(name string) string {
	name = strings.ToLower(strings.TrimPrefix(name, "google.protobuf."))
	if strings.HasPrefix(name, "int") || strings.HasPrefix(name, "event") {
		return "an " + name
	}
	return "a " + name
}

// operand is an argument of a call, as far as it is known.
type operand struct {
	expr  ast.Expr
	text  string // as it is written
	name  string // as errors name it: data.p
	value ref.Val
	kind  kind
	typ   string // its type, if that is known without a message
}

func (e *expression) explainType(v *view, err error) error {
	call := e.failed(err, err.Error())
	if call == nil {
		return errors.New("a value has another type than the condition needs; write double(…) around a number in text, and 2.0 rather than 2 beside a number")
	}
	var operands []operand
	for _, arg := range arguments(call) {
		operands = append(operands, e.operand(v, arg))
	}
	name := call.AsCall().FunctionName()
	for i, one := range operands {
		if one.name == "" || one.value == nil {
			continue
		}
		other := operand{}
		if len(operands) == 2 {
			other = operands[1-i]
		}
		if remedy := remedy(name, one, other); remedy != "" {
			return fmt.Errorf("%s is %s: write %s", one.name, one.kind.what, remedy)
		}
	}
	var known []string
	for _, one := range operands {
		if one.name != "" && one.value != nil {
			known = append(known, one.name+" is "+one.kind.what)
		}
	}
	if len(known) > 0 {
		return fmt.Errorf("%s: %s does not fit", e.source(call), strings.Join(known, " and "))
	}
	return fmt.Errorf("%s: a value has another type than this needs; write double(…) around a number in text, and 2.0 rather than 2 beside a number", e.source(call))
}

// remedy is what to write in place of an operand, or of the one beside it.
func remedy(function string, one, other operand) string {
	arithmetic := slices.Contains([]string{operators.Add, operators.Subtract, operators.Multiply, operators.Divide}, function)
	counted := other.typ == "int" || other.typ == "uint"
	switch {
	case function == operators.Modulo && one.kind.numeric:
		return "int(" + one.text + ")"
	case arithmetic && one.kind.numeric && counted && other.expr.Kind() == ast.LiteralKind:
		return strings.TrimSuffix(other.text, "u") + ".0"
	case arithmetic && one.kind.numeric && counted:
		return "double(" + other.text + ")"
	case one.kind.text && (other.kind.numeric || counted || other.typ == "double"):
		return "double(" + one.text + ")"
	case one.kind.text && slices.Contains([]string{"timestamp", "duration"}, other.typ):
		return other.typ + "(" + one.text + ")"
	case one.kind.text && slices.Contains([]string{operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional}, function):
		return one.text + ` == "…"`
	case one.kind.text && function == operators.Negate:
		return "double(" + one.text + ")"
	case one.kind.numeric && (other.typ == "string" || isText(function)):
		return "string(" + one.text + ")"
	}
	return ""
}

func isText(function string) bool {
	return slices.Contains([]string{"startsWith", "endsWith", "contains", "matches"}, function)
}

// failed is the call that an error comes from: the one it names, else the only one of
// a function that its text names.
func (e *expression) failed(err error, text string) ast.Expr {
	id := int64(0)
	if bad, ok := errors.AsType[*types.Err](err); ok {
		id = bad.NodeID()
	}
	var named, byText []ast.Expr
	ast.PreOrderVisit(e.tree.Expr(), ast.NewExprVisitor(func(one ast.Expr) {
		if one.Kind() != ast.CallKind {
			return
		}
		if one.ID() == id {
			named = append(named, one)
		}
		if function := one.AsCall().FunctionName(); strings.Contains(text, ": "+function) {
			byText = append(byText, one)
		}
	}))
	switch {
	case len(named) > 0:
		return named[0]
	case len(byText) > 0:
		return byText[0]
	}
	return nil
}

func arguments(call ast.Expr) []ast.Expr {
	c := call.AsCall()
	if c.IsMemberFunction() {
		return append([]ast.Expr{c.Target()}, c.Args()...)
	}
	return c.Args()
}

func (e *expression) operand(v *view, expr ast.Expr) operand {
	o := operand{expr: expr, text: e.source(expr)}
	if typ := e.tree.GetType(expr.ID()); typ != nil && typ.Kind() != types.DynKind {
		o.typ = strings.ToLower(strings.TrimPrefix(typ.TypeName(), "google.protobuf."))
	}
	if value, ok := lookup(v, expr); ok {
		o.name = strings.TrimPrefix(o.text, "event.")
		o.value = adapter{types.DefaultTypeAdapter}.NativeToValue(value)
		o.kind = kindOf(o.value)
	}
	return o
}

// source is an expression as it is written, on one line.
func (e *expression) source(expr ast.Expr) string {
	text, err := cel.ExprToString(expr, e.tree.SourceInfo())
	if err != nil {
		return "the condition"
	}
	return line(text)
}

// lookup reads what event.data.a["b"][0] stands for; ok is false for anything else.
func lookup(v *view, expr ast.Expr) (value any, ok bool) {
	switch expr.Kind() {
	case ast.IdentKind:
		return v, expr.AsIdent() == "event"
	case ast.SelectKind:
		of, ok := lookup(v, expr.AsSelect().Operand())
		if !ok || expr.AsSelect().IsTestOnly() {
			return nil, false
		}
		return member(of, expr.AsSelect().FieldName())
	case ast.CallKind:
		call := expr.AsCall()
		if call.FunctionName() != operators.Index || call.Args()[1].Kind() != ast.LiteralKind {
			return nil, false
		}
		of, ok := lookup(v, call.Args()[0])
		if !ok {
			return nil, false
		}
		switch key := call.Args()[1].AsLiteral().(type) {
		case types.String:
			return member(of, string(key))
		case types.Int:
			return element(of, int(key))
		}
	}
	return nil, false
}

func member(of any, name string) (any, bool) {
	switch of := of.(type) {
	case *view:
		for _, f := range fields() {
			if f.name == name {
				return f.get(of), true
			}
		}
	case *object:
		return of.FindStringKey(name)
	case map[string]any:
		value, ok := of[name]
		return value, ok
	}
	return nil, false
}

func element(of any, i int) (any, bool) {
	switch of := of.(type) {
	case array:
		return of.GetInt64Index(int64(i))
	case []any:
		if i >= 0 && i < len(of) {
			return of[i], true
		}
	}
	return nil, false
}
