package routesfile

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"signalbox/router"
	"signalbox/router/internal/nearest"
)

// decoder fills structs from nodes, strictly: an unknown key, or a value of another
// type than the field's, is an error with its place, and hides no other error.
//
// Fields are found by their `toml:"name"` tag. Further tags check values:
// `enum:"a,b"`, `min:"1"` and `max:"10"` (as the field's type is written in TOML).
type decoder struct {
	report *report
}

// custom is a type that decodes itself, for values of more than one shape.
type custom interface {
	decodeNode(d *decoder, n *node)
}

// located is embedded in raw structs that are checked later and need their node.
type located struct{ node *node }

func (l *located) locate(n *node) { l.node = n }

func (d *decoder) failf(n *node, format string, args ...any) {
	d.report.errorf(n.at, "%s: %s", n.label(), fmt.Sprintf(format, args...))
}

// table decodes n into the struct that into points to.
func (d *decoder) table(n *node, into reflect.Value, skip ...string) {
	if into.CanAddr() {
		if l, ok := reflect.TypeAssert[interface{ locate(*node) }](into.Addr()); ok {
			l.locate(n)
		}
	}
	fields := make(map[string]reflect.StructField)
	var names []string
	for _, field := range fieldsOf(into.Type()) {
		fields[tagName(field)] = field
		names = append(names, tagName(field))
	}
	names = append(names, skip...)
	for _, child := range n.children() {
		field, known := fields[child.name()]
		switch {
		case known:
			d.field(child, into.FieldByIndex(field.Index), field)
		case !slices.Contains(skip, child.name()):
			d.unknown(n, child, names)
		}
	}
}

func (d *decoder) unknown(n, child *node, names []string) {
	if d.report.full() {
		d.report.errorf(child.key, "")
		return
	}
	hint := func(what string) string { return elsewhere(n, child.name(), what, names) }
	switch {
	case len(n.path) == 0 && (child.table != nil || len(child.list) > 0 && child.list[0].table != nil):
		d.report.errorf(child.key, "unknown table %q%s", child.name(), didYouMean(child.name(), "tables", names))
	case len(n.path) == 0:
		d.report.errorf(child.key, "unknown key %q before any table%s", child.name(), hint("tables"))
	case child.hasHeader() && len(n.path) == 2 && slices.Contains(namedTables(), n.path[0]):
		d.report.errorf(child.key, "%s: unknown table %q; if the name is %q, put it in quotes: [%s.%q]", n.label(), child.name(), n.name()+"."+child.name(), n.path[0], n.name()+"."+child.name())
	case n.path[0] == "handlers":
		d.report.errorf(child.key, "%s: unknown option %q%s", n.label(), child.name(), hint("options"))
	default:
		d.report.errorf(child.key, "%s: unknown key %q%s", n.label(), child.name(), hint("keys"))
	}
}

func (d *decoder) field(n *node, into reflect.Value, field reflect.StructField) {
	if n.skipped {
		return
	}
	switch field.Tag.Get("secret") {
	case "true":
		d.report.conceal(n)
		n.setSecret()
	case "url":
		n.setSecret()
	}
	before := d.report.failures()
	d.value(n, into)
	if d.report.failures() == before {
		d.limits(n, into, field.Tag)
	}
}

// value decodes n into a field, an element or a map's value.
func (d *decoder) value(n *node, into reflect.Value) {
	if n.skipped {
		return
	}
	switch typed := into.Addr().Interface().(type) {
	case custom:
		typed.decodeNode(d, n)
		return
	case *router.Size:
		(*size)(typed).decodeNode(d, n)
		return
	case *time.Duration:
		d.duration(n, typed)
		return
	case encoding.TextUnmarshaler:
		d.unmarshal(n, typed)
		return
	}
	switch kind := into.Kind(); {
	case kind == reflect.Pointer:
		fresh := reflect.New(into.Type().Elem())
		d.value(n, fresh.Elem())
		into.Set(fresh)
	case kind == reflect.Struct:
		if n.table == nil {
			d.failf(n, "want a table, have %s; write %s", n.kind(), tableForm(n, into.Type()))
			return
		}
		d.table(n, into)
	case kind == reflect.Map:
		d.mapping(n, into)
	case kind == reflect.Slice:
		d.slice(n, into)
	case kind == reflect.Interface && into.NumMethod() == 0:
		if plain := n.plain(); plain != nil {
			into.Set(reflect.ValueOf(plain))
		}
	default:
		d.scalar(n, into)
	}
}

func (d *decoder) scalar(n *node, into reflect.Value) {
	switch kind := into.Kind(); {
	case kind == reflect.String:
		if text, ok := n.value.(string); ok {
			into.SetString(text)
			return
		}
		d.notText(n)
	case kind == reflect.Bool:
		if value, ok := n.boolean(); ok {
			into.SetBool(value)
			return
		}
		d.failf(n, "want true or false, have %s%s", n.kind(), n.truth())
	case into.CanInt():
		if value, ok := n.integer(); ok {
			if into.OverflowInt(value) {
				top := int64(1)<<(into.Type().Bits()-1) - 1
				d.failf(n, "%s is out of range; write a number from %d to %d", n.literal(), -top-1, top)
			}
			into.SetInt(value)
			return
		}
		d.failf(n, "want a whole number, have %s%s", n.kind(), n.unquote())
	case into.CanUint():
		if value, ok := n.integer(); ok && value >= 0 {
			if into.OverflowUint(uint64(value)) {
				d.failf(n, "%s is out of range; write a number from 0 to %d", n.literal(), uint64(1)<<into.Type().Bits()-1)
			}
			into.SetUint(uint64(value))
			return
		}
		d.failf(n, "want a whole number that is not negative, have %s%s", n.kind(), n.unquote())
	case into.CanFloat():
		if value, ok := n.float(); ok {
			into.SetFloat(value)
			return
		}
		d.failf(n, "want a number, have %s%s", n.kind(), n.unquote())
	default:
		d.failf(n, "cannot be set from a file: it is a Go %s", into.Type())
	}
}

func (d *decoder) notText(n *node) {
	remedy := ""
	switch {
	case n.value != nil:
		remedy = "; put it in quotes"
	case n.list != nil:
		remedy = "; write one, without [ ]"
	}
	d.failf(n, "want a text, have %s%s", n.kind(), remedy)
}

func (d *decoder) unmarshal(n *node, into encoding.TextUnmarshaler) {
	text, ok := n.value.(string)
	if !ok {
		d.notText(n)
		return
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		d.failf(n, "%s: %s", n.quoted(text), err)
	}
}

func (d *decoder) mapping(n *node, into reflect.Value) {
	if n.table == nil || into.Type().Key().Kind() != reflect.String {
		d.failf(n, "want a table, have %s; write { name = value }", n.kind())
		return
	}
	// Never the map that is there: it belongs to the kind's defaults.
	fresh := reflect.MakeMapWithSize(into.Type(), len(n.table))
	for _, child := range n.children() {
		if child.skipped {
			continue
		}
		element := reflect.New(into.Type().Elem()).Elem()
		d.value(child, element)
		fresh.SetMapIndex(reflect.ValueOf(child.name()).Convert(into.Type().Key()), element)
	}
	into.Set(fresh)
}

func (d *decoder) slice(n *node, into reflect.Value) {
	list := n.list
	if text, ok := n.value.(string); ok && n.commas {
		list = splitCommas(n, text)
	} else if list == nil {
		remedy := ""
		if into.Type().Elem().Kind() == reflect.Struct {
			remedy = fmt.Sprintf("; write [[%s]] and its keys below", strings.Join(n.path, "."))
		} else if text, ok := n.value.(string); ok && n.source == "" && !n.secret {
			remedy = fmt.Sprintf("; write [%q]", shorten(text))
		}
		d.failf(n, "want a list, have %s%s", n.kind(), remedy)
		return
	}
	fresh := reflect.MakeSlice(into.Type(), 0, len(list))
	for _, item := range list {
		element := reflect.New(into.Type().Elem()).Elem()
		d.value(item, element)
		if !item.skipped {
			fresh = reflect.Append(fresh, element)
		}
	}
	into.Set(fresh)
}

// splitCommas is how a variable writes a list.
func splitCommas(n *node, text string) []*node {
	var list []*node
	for part := range strings.SplitSeq(text, ",") {
		item := *n
		item.value, item.commas = strings.TrimSpace(part), false
		list = append(list, &item)
	}
	return list
}

// limits checks a decoded value against the tags of its field.
func (d *decoder) limits(n *node, into reflect.Value, tag reflect.StructTag) {
	for into.Kind() == reflect.Pointer {
		into = into.Elem()
	}
	if allowed, ok := tag.Lookup("enum"); ok {
		values := strings.Split(allowed, ",")
		if text := fmt.Sprint(into.Interface()); !slices.Contains(values, text) {
			hint := ""
			if near, ok := nearest.Name(text, values); ok {
				hint = fmt.Sprintf("; did you mean %q?", near)
			}
			d.failf(n, "want %s, have %s%s", alternatives(values), n.quoted(text), hint)
		}
	}
	if !into.CanInt() {
		return
	}
	if text, ok := tag.Lookup("min"); ok && into.Int() < limit(text, into) {
		d.failf(n, "%s is too low; write %s or more", n.literal(), text)
	}
	if text, ok := tag.Lookup("max"); ok && into.Int() > limit(text, into) {
		d.failf(n, "%s is too high; write %s or less", n.literal(), text)
	}
}

// limit reads a min or max tag as the field's type is written in TOML.
func limit(text string, like reflect.Value) int64 {
	probe := reflect.New(like.Type()).Elem()
	(&decoder{report: newReport()}).value(&node{value: text, loose: true}, probe)
	return probe.Int()
}
