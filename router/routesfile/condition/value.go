package condition

import (
	"fmt"
	"reflect"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/tidwall/gjson"
)

// maxDepth is how deep a value may nest when it is decoded whole.
const maxDepth = 1000

// exact is the number below which a double holds every integer.
const exact = 1 << 53

// parse is a JSON value as CEL will see it; objects and arrays stay undecoded.
func parse(text string) any { return shallow(gjson.Parse(text)) }

func shallow(v gjson.Result) any {
	switch v.Type {
	case gjson.False, gjson.True:
		return types.Bool(v.Type == gjson.True)
	case gjson.Number:
		return number(v.Raw)
	case gjson.String:
		return v.Str
	case gjson.JSON:
		if v.IsArray() {
			return array(v.Raw)
		}
		return &object{raw: v.Raw}
	}
	return types.NullValue
}

// number is a double, unless that would round a whole number.
func number(text string) any {
	value, err := strconv.ParseFloat(text, 64)
	if err == nil && -exact < value && value < exact {
		return value
	}
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		return whole
	}
	if whole, err := strconv.ParseUint(text, 10, 64); err == nil {
		return whole
	}
	return value
}

// decoded is a JSON value decoded whole, or an error as CEL's value.
func decoded(text string) any {
	value, err := deep(gjson.Parse(text), 0)
	if err != nil {
		return types.WrapErr(err)
	}
	return value
}

func deep(v gjson.Result, depth int) (value any, err error) {
	if v.Type != gjson.JSON {
		return shallow(v), nil
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("the message nests deeper than %d levels", maxDepth)
	}
	if v.IsArray() {
		list := []any{}
		v.ForEach(func(_, element gjson.Result) bool {
			var one any
			one, err = deep(element, depth+1)
			list = append(list, one)
			return err == nil
		})
		return list, err
	}
	members := map[string]any{}
	v.ForEach(func(name, member gjson.Result) bool {
		if _, again := members[name.Str]; again {
			err = twice(name.Str)
			return false
		}
		members[name.Str], err = deep(member, depth+1)
		return err == nil
	})
	return members, err
}

// twice refuses what readers of JSON disagree about: some take the first, some the last.
func twice(name string) error {
	return fmt.Errorf("the message has the member %q twice in one object", name)
}

// array is an undecoded JSON array.
type array string

// GetInt64Index finds an element, for CEL's x[1].
func (a array) GetInt64Index(index int64) (any, bool) {
	var found any
	i := int64(0)
	gjson.Parse(string(a)).ForEach(func(_, element gjson.Result) bool {
		if i == index {
			found = shallow(element)
		}
		i++
		return i <= index
	})
	return found, found != nil
}

// object is a JSON object of which CEL reads single members without decoding the
// others. It is a CEL value, too: a map, decoded when it is used as a whole.
type object struct {
	raw string
	all traits.Mapper
	bad ref.Val
}

// FindStringKey finds a member, for CEL's x.name.
func (o *object) FindStringKey(name string) (value any, found bool) {
	var member gjson.Result
	again := false
	gjson.Parse(o.raw).ForEach(func(key, v gjson.Result) bool {
		if key.Str != name {
			return true
		}
		again, found, member = found, true, v
		return !again
	})
	if again {
		return types.WrapErr(twice(name)), true
	}
	if !found {
		return nil, false
	}
	return shallow(member), true
}

// Find is FindStringKey for a CEL value.
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	value, found := o.FindStringKey(string(name))
	if !found {
		return nil, false
	}
	return adapter{types.DefaultTypeAdapter}.NativeToValue(value), true
}

// Get is x[key].
func (o *object) Get(key ref.Val) ref.Val {
	if value, found := o.Find(key); found {
		return value
	}
	return types.NewErr("no such key: %v", key)
}

// Contains is key in x.
func (o *object) Contains(key ref.Val) ref.Val {
	_, found := o.Find(key)
	return types.Bool(found)
}

// whole decodes the object, or returns the error.
func (o *object) whole() (traits.Mapper, ref.Val) {
	if o.all == nil && o.bad == nil {
		value := adapter{types.DefaultTypeAdapter}.NativeToValue(decoded(o.raw))
		if all, ok := value.(traits.Mapper); ok {
			o.all = all
		} else {
			o.bad = value
		}
	}
	return o.all, o.bad
}

// Equal is x == y.
func (o *object) Equal(other ref.Val) ref.Val {
	all, bad := o.whole()
	if bad != nil {
		return bad
	}
	return all.Equal(other)
}

// Size is size(x).
func (o *object) Size() ref.Val {
	all, bad := o.whole()
	if bad != nil {
		return bad
	}
	return all.Size()
}

// Iterator is over the names of the members.
func (o *object) Iterator() traits.Iterator {
	all, bad := o.whole()
	if bad != nil {
		all = types.NewStringInterfaceMap(types.DefaultTypeAdapter, nil)
	}
	return all.Iterator()
}

// ConvertToNative turns the object into a Go value.
func (o *object) ConvertToNative(to reflect.Type) (any, error) {
	all, bad := o.whole()
	if bad != nil {
		return nil, fmt.Errorf("%v", bad)
	}
	return all.ConvertToNative(to)
}

// ConvertToType turns the object into another CEL value.
func (o *object) ConvertToType(to ref.Type) ref.Val {
	all, bad := o.whole()
	if bad != nil {
		return bad
	}
	return all.ConvertToType(to)
}

// Type is map.
func (o *object) Type() ref.Type { return types.MapType }

// Value is the object as a Go value.
func (o *object) Value() any {
	all, bad := o.whole()
	if bad != nil {
		return bad
	}
	return all.Value()
}
