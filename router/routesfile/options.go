package routesfile

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"signalbox/router"
)

// Option is a key that the [handlers.NAME] table of a kind may have.
type Option struct {
	Name    string
	Type    string // as the user of a TOML file knows it: "duration", "list of string", …
	Default string // "required" or, without a default, "-"
	Doc     string
}

// OptionsOf lists the options of a kind: what [Load] decodes, in the order in which the
// kind's struct declares them.
func OptionsOf(kind router.KindInfo) []Option {
	defaults := reflect.ValueOf(kind.Options()).Elem()
	if defaults.Kind() != reflect.Struct {
		return nil
	}
	var options []Option
	for _, field := range fieldsOf(defaults.Type()) {
		options = append(options, Option{
			Name:    tagName(field),
			Type:    typeName(field.Type),
			Default: defaultText(field, defaults.FieldByIndex(field.Index)),
			Doc:     field.Tag.Get("doc"),
		})
	}
	return options
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[router.Size]():
		return "size"
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "string"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map, reflect.Struct:
		return "table"
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Interface:
		return "any value"
	default:
		return "number"
	}
}

func defaultText(field reflect.StructField, v reflect.Value) string {
	if field.Tag.Get("required") == "true" {
		return "required"
	}
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Struct, reflect.Pointer, reflect.Interface:
		if v.IsZero() {
			return "-"
		}
	}
	if v.Kind() != reflect.Slice {
		return fmt.Sprint(v.Interface())
	}
	words := make([]string, v.Len())
	for i := range words {
		words[i] = fmt.Sprint(v.Index(i))
	}
	return strings.Join(words, ", ")
}
