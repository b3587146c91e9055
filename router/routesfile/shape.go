package routesfile

import (
	"encoding"
	"reflect"
	"time"

	"signalbox/router"
)

// shape is what a type of Go is in a file.
type shape struct {
	words  string         // what people call it
	schema map[string]any // JSON Schema of one value, without the keys of a table
	fields reflect.Type   // the struct whose fields are its keys, when it can be a table
	wraps  []wrap         // what is around the value, the outermost first
	kinds  kindsOf        // those whose options are keys of the table, too; nil: it has no kind
	open   bool           // its keys were described further up
}

// wrap is a list or a table of named things.
type wrap int

const (
	asList wrap = iota
	asNamed
)

// shaped is a [custom] type that says what it is in a file. Each has to: see TestShaped.
type shaped interface {
	shape() shape
}

// refers is the pattern of a text that refers to the environment, and so may become
// anything; whole is that of a text which is one reference, and so may be no text.
const (
	refers = `\$\{`
	whole  = `^\$\{[^}]*\}$`
)

func shapeOf(t reflect.Type) shape {
	pointer := reflect.New(t).Interface()
	if one, ok := pointer.(shaped); ok {
		return one.shape()
	}
	switch pointer.(type) {
	case *router.Size:
		return sizeShape()
	case *time.Duration:
		return durationShape()
	case encoding.TextUnmarshaler:
		return textShape("string")
	}
	switch kind := t.Kind(); kind {
	case reflect.Pointer:
		return shapeOf(t.Elem())
	case reflect.Slice:
		inner := shapeOf(t.Elem())
		inner.words, inner.wraps = "list of "+inner.words+"s", append([]wrap{asList}, inner.wraps...)
		return inner
	case reflect.Map:
		inner := shapeOf(t.Elem())
		inner.words, inner.wraps = "table", append([]wrap{asNamed}, inner.wraps...)
		return inner
	case reflect.Struct:
		return shape{words: "table", schema: map[string]any{"type": "object"}, fields: t}
	case reflect.String:
		return textShape("string")
	case reflect.Bool:
		return shape{words: "boolean", schema: orReference("boolean")}
	case reflect.Float32, reflect.Float64:
		return shape{words: "number", schema: orReference("number")}
	case reflect.Interface:
		return shape{words: "any value", schema: map[string]any{}}
	default:
		return integerShape(reflect.Zero(t))
	}
}

// orReference is the schema of what a text may stand for if it is one reference.
func orReference(name string) map[string]any {
	return map[string]any{"type": []any{name, "string"}, "pattern": whole}
}

func textShape(words string) shape {
	return shape{words: words, schema: map[string]any{"type": "string"}}
}

func integerShape(zero reflect.Value) shape {
	s := shape{words: "number", schema: orReference("integer")}
	if zero.CanUint() {
		s.schema["minimum"] = 0
	}
	return s
}

// The patterns are those that an editor shows beside a mistake, so they are simpler than what
// the decoder takes: without signs, and without space around.

func durationShape() shape {
	return shape{words: "duration", schema: map[string]any{
		"type":    "string",
		"pattern": `^(0|([0-9.]+(ns|us|µs|ms|s|m|h))+)$|` + refers,
	}}
}

func sizeShape() shape {
	return shape{words: "size", schema: map[string]any{
		"type":    []any{"integer", "string"},
		"pattern": `^[0-9.]+ ?([KMGkmg]?[Ii]?[Bb])?$|` + refers,
	}}
}

func (*size) shape() shape { return sizeShape() }

func (*path) shape() shape {
	return shape{words: "path", schema: map[string]any{
		"type":    "string",
		"pattern": `^[^.]+(\.[^.]+)*$|` + refers,
	}}
}

func (*splitPath) shape() shape {
	s := (*path)(nil).shape()
	s.words, s.schema["type"] = "boolean or path", []any{"boolean", "string"}
	return s
}

// A list of names may not be empty, nor have one twice.
func (*names) shape() shape {
	one := map[string]any{"type": "string", "minLength": 1}
	return shape{words: "string or list of strings", schema: map[string]any{
		"type":      []any{"string", "array"},
		"minLength": 1,
		"items":     one, "minItems": 1, "uniqueItems": true,
	}}
}

func (*schemas) shape() shape {
	return shape{words: "table of types and paths", schema: map[string]any{
		"type":                 "object",
		"additionalProperties": map[string]any{"type": "string", "minLength": 1},
	}}
}

func (*deadLetter) shape() shape {
	return shape{words: "boolean or channel", schema: map[string]any{
		"type": []any{"boolean", "string"},
		"not":  map[string]any{"enum": []any{"", "true", "false"}},
	}}
}

func (*rawDedupe) shape() shape {
	s := durationShape()
	s.words, s.schema["type"], s.fields = "duration or table", []any{"string", "object"}, reflect.TypeFor[rawDedupe]()
	return s
}

func (*rawHandler) shape() shape {
	return shape{words: "table", schema: map[string]any{"type": "object"}, fields: reflect.TypeFor[rawHandler](), kinds: handlerKinds}
}

func (*rawSource) shape() shape {
	return shape{words: "table", schema: map[string]any{"type": "object"}, fields: reflect.TypeFor[rawSource](), kinds: sourceKinds}
}

func (*rawSequence) shape() shape {
	s := (*path)(nil).shape()
	s.words, s.schema["type"], s.fields = "path or table", []any{"string", "object"}, reflect.TypeFor[rawSequence]()
	return s
}

func (*rawExpectation) shape() shape {
	return shape{words: "table", schema: map[string]any{"type": "object"}, fields: reflect.TypeFor[rawExpectation]()}
}

func (*table) shape() shape {
	return shape{words: "table", schema: map[string]any{"type": "object"}}
}

func (*moment) shape() shape {
	return shape{words: "time", schema: map[string]any{"type": "string"}} // so is a date of TOML, for editors
}

func (*rawAnswers) shape() shape {
	var answers []any
	for _, word := range answerWords() {
		answers = append(answers, word)
	}
	return shape{words: "answer or list of answers", schema: map[string]any{
		"type": []any{"string", "array"},
		"anyOf": []any{
			map[string]any{"enum": answers},
			map[string]any{"type": "array", "items": map[string]any{"enum": answers}, "minItems": 1},
		},
	}}
}
