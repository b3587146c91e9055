package condition

import (
	"fmt"
	"slices"
	"unsafe"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"signalbox/router"
)

// eventType is what CEL calls the type of the variable event.
const eventType = "Event"

// view is what one evaluation sees. It is also what CEL takes for the event itself.
type view struct {
	event  *router.Event
	decode bool // data and msg whole, at the first touch; else only members that are read
	data   any  // decoded
	msg    any
}

// ResolveName finds a variable.
func (v *view) ResolveName(name string) (any, bool) { return v, name == "event" }

// Parent is nil: there are no other variables.
func (v *view) Parent() cel.Activation { return nil }

// json is data or msg; kept holds it once it is decoded.
func (v *view) json(raw []byte, kept *any) any {
	text := unsafe.String(unsafe.SliceData(raw), len(raw))
	if !v.decode {
		return parse(text)
	}
	if *kept == nil {
		*kept = decoded(text)
	}
	return *kept
}

// field is one field of event.
type field struct {
	name string
	typ  *types.Type
	get  func(*view) any
}

// fields are the fields of event, in alphabetical order.
func fields() []field {
	return []field{
		{"channel", types.StringType, func(v *view) any { return v.event.Channel }},
		{"data", types.DynType, func(v *view) any { return v.json(v.event.Data, &v.data) }},
		{"id", types.StringType, func(v *view) any { return v.event.ID }},
		{"key", types.StringType, func(v *view) any { return v.event.Key }},
		{"msg", types.DynType, func(v *view) any { return v.json(v.event.Msg, &v.msg) }},
		{"name", types.StringType, func(v *view) any { return v.event.Name }},
		{"replayed", types.BoolType, func(v *view) any { return v.event.Replayed }},
		{"source", types.StringType, func(v *view) any { return v.event.Source }},
		{"time", types.TimestampType, func(v *view) any { return v.event.Time }},
		{"type", types.StringType, func(v *view) any { return v.event.Type }},
	}
}

func fieldNames() []string {
	var names []string
	for _, f := range fields() {
		names = append(names, f.name)
	}
	return names
}

// provider adds the type of event to CEL's own.
type provider struct{ types.Provider }

// FindStructType knows the type of event.
func (p provider) FindStructType(name string) (*types.Type, bool) {
	if name == eventType {
		return types.NewTypeTypeWithParam(types.NewObjectType(eventType)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames are the fields of event.
func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if name == eventType {
		return fieldNames(), true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType says how a field of event is read.
func (p provider) FindStructFieldType(typ, name string) (*types.FieldType, bool) {
	if typ != eventType {
		return p.Provider.FindStructFieldType(typ, name)
	}
	all := fields()
	i := slices.IndexFunc(all, func(f field) bool { return f.name == name })
	if i < 0 {
		return nil, false
	}
	get := all[i].get
	return &types.FieldType{
		Type:  all[i].typ,
		IsSet: func(of any) bool { v, ok := of.(*view); return ok && get(v) != "" && get(v) != false },
		GetFrom: func(of any) (any, error) {
			v, ok := of.(*view)
			if !ok {
				return nil, fmt.Errorf("%T is no event", of)
			}
			return get(v), nil
		},
	}, true
}

// NewValue refuses to make an event.
func (p provider) NewValue(name string, values map[string]ref.Val) ref.Val {
	if name == eventType {
		return types.NewErr("an event cannot be made")
	}
	return p.Provider.NewValue(name, values)
}

// adapter turns what the fields hold into CEL values.
type adapter struct{ types.Adapter }

// NativeToValue turns a Go value into CEL's.
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case string:
		return types.String(v)
	case float64:
		return types.Double(v)
	case *object:
		return v
	case array:
		return a.NativeToValue(decoded(string(v)))
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	case *view:
		return types.NewErr("event is no value; compare its fields")
	}
	return a.Adapter.NativeToValue(value)
}
