package routesfile

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"signalbox/router"
	"signalbox/router/internal/wording"
)

// tagged reads what holds without the key from the tags of a raw struct.
func (k *Key) tagged(field reflect.StructField) {
	text, laid := field.Tag.Lookup("default")
	if !laid {
		k.Default = field.Tag.Get("otherwise")
		if k.Default == "" && field.Type.Kind() == reflect.Bool {
			k.Default = "false"
		}
		k.toml = k.literal(k.Default)
		return
	}
	k.Default = text
	k.preset = preset{json: text, toml: strconv.Quote(text)}
	if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		k.preset = preset{json: number, toml: text}
	} else if value, err := strconv.ParseBool(text); err == nil && k.Type == "boolean" {
		k.preset = preset{json: value, toml: text}
	}
}

// literal is a value of the key as a file has it; empty for other words.
func (k *Key) literal(text string) string {
	_, notDuration := time.ParseDuration(text)
	_, notNumber := strconv.ParseFloat(text, 64)
	switch {
	case slices.Contains(k.Values, text), k.Type == "duration" && notDuration == nil:
		return strconv.Quote(text)
	case k.Type == "number" && notNumber == nil, k.Type == "boolean" && (text == "true" || text == "false"):
		return text
	}
	return ""
}

// presetOf reads it from the value that an option has in the kind's defaults.
func (k *Key) presetOf(v reflect.Value, otherwise string) {
	if k.Required {
		return
	}
	k.Default = otherwise
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Struct, reflect.Pointer, reflect.Interface:
		if v.IsZero() {
			return
		}
	default: // zero is a value like others
	}
	value, ok := plainValue(v)
	if !ok {
		return
	}
	k.preset = preset{json: value, toml: tomlText(value)}
	k.Default = words(value)
}

// plainValue is v as JSON and TOML have it; not ok for what they lack, or what we don't show.
func plainValue(v reflect.Value) (value any, ok bool) {
	switch typed := v.Interface().(type) {
	case time.Duration:
		return wording.Duration(typed), true
	case router.Size:
		return int64(typed), true
	case encoding.TextMarshaler:
		text, err := typed.MarshalText()
		return string(text), err == nil
	}
	switch {
	case v.Kind() == reflect.String:
		return v.String(), true
	case v.Kind() == reflect.Bool:
		return v.Bool(), true
	case v.CanInt():
		return v.Int(), true
	case v.CanUint():
		return v.Uint(), true
	case v.CanFloat():
		return v.Float(), !math.IsInf(v.Float(), 0) && !math.IsNaN(v.Float())
	case v.Kind() == reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			if list[i], ok = plainValue(v.Index(i)); !ok {
				return nil, false
			}
		}
		return list, true
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		table := make(map[string]any, v.Len())
		for name, one := range v.Seq2() {
			if table[name.String()], ok = plainValue(one); !ok {
				return nil, false
			}
		}
		return table, true
	}
	return nil, false
}

// words is a value for people: a list without its brackets, texts without quotes.
func words(value any) string {
	list, ok := value.([]any)
	if _, table := value.(map[string]any); table {
		return tomlText(value)
	}
	if !ok {
		return fmt.Sprint(value)
	}
	parts := make([]string, len(list))
	for i := range list {
		parts[i] = words(list[i])
	}
	return strings.Join(parts, ", ")
}
