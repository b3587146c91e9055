package schema

import (
	"errors"
	"reflect"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// How many schemas one check may ask that refer to themselves: some for every byte of the
// message, and no more than what takes some seconds at the worst.
const (
	leastSteps   = 10_000
	stepsPerByte = 10
	mostSteps    = 300_000
	maxLevels    = 100 // of a message for such a schema
)

// maxWays is how large a schema may be with a copy of what it refers to at each $ref.
const maxWays = 1_000_000

// budget bounds the work of checking a message by a schema that refers to itself. It may
// ask the same of a value in several ways, whose number then multiplies with each level
// of the message, which a stranger chooses.
//
// For any other schema the work is at most its size times that of the message, and there
// is no budget.
type budget struct {
	mu   sync.Mutex // one check at a time
	left int
}

// spent is the panic that ends a check.
type spent struct{}

// budgetOf returns what bounds the checks of a schema; nil: nothing needs to.
func budgetOf(root *jsonschema.Schema) (*budget, error) {
	w := walk{sizes: map[*jsonschema.Schema]int{}}
	size := w.schema(root)
	switch {
	case w.circular:
		b := &budget{}
		for one := range w.sizes {
			b.count(one)
		}
		return b, nil
	case size > maxWays:
		return nil, errors.New("it refers to the same schemas in too many ways; describe less")
	}
	return nil, nil //nolint:nilnil // none is an answer
}

// count makes a schema count how often it is asked. Its format is what the library looks
// at before it goes on to the schemas inside.
func (b *budget) count(schema *jsonschema.Schema) {
	format := jsonschema.Format{Validate: func(any) error { return nil }}
	if schema.Format != nil {
		format = *schema.Format
	}
	validate := format.Validate
	format.Validate = func(value any) error {
		if b.left--; b.left < 0 {
			panic(spent{})
		}
		return validate(value)
	}
	schema.Format = &format
}

// levels is how deep a message may nest.
func (b *budget) levels() int {
	if b != nil {
		return maxLevels
	}
	return maxMessage
}

// begin prepares for a message; the check ends with end.
func (b *budget) begin(msg []byte) {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.left = min(leastSteps+stepsPerByte*len(msg), mostSteps)
}

func (b *budget) end() {
	if b != nil {
		b.mu.Unlock()
	}
}

// walk finds all schemas that a schema consists of, and how many there are below each.
type walk struct {
	sizes    map[*jsonschema.Schema]int // 0: it is being walked
	circular bool
}

// schema returns the size of a schema, or something above maxWays.
func (w *walk) schema(schema *jsonschema.Schema) (size int) {
	if known, ok := w.sizes[schema]; ok {
		w.circular = w.circular || known == 0
		return known
	}
	w.sizes[schema] = 0
	size = 1
	fields := reflect.ValueOf(schema).Elem()
	for field := range fields.Type().Fields() {
		if field.IsExported() {
			size = min(size+w.value(fields.FieldByIndex(field.Index)), 2*maxWays)
		}
	}
	w.sizes[schema] = size
	return size
}

// value looks for schemas in a field of a schema: one, several, or what holds one.
func (w *walk) value(v reflect.Value) (size int) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			return w.value(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			size = min(size+w.value(v.Index(i)), 2*maxWays)
		}
	case reflect.Map:
		for _, one := range v.Seq2() {
			size = min(size+w.value(one), 2*maxWays)
		}
	case reflect.Pointer:
		if v.IsNil() {
			return 0
		}
		switch one := v.Interface().(type) {
		case *jsonschema.Schema:
			return w.schema(one)
		case *jsonschema.DynamicRef:
			return w.schema(one.Ref)
		}
	default: // no schema
	}
	return size
}
