package routesfile

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"signalbox/router"
)

// shown is what of a node may be seen: a text, a number, a boolean, or a list or a table
// of these. Secret says that it is not all. Type is that of the field which the node is
// decoded into; nil when nobody knows it.
func (e *inForce) shown(n *node, t reflect.Type, how secrecy) (value any, secret bool) {
	if slices.ContainsFunc(references(n.raw), reference.isSecret) {
		how = noneOfIt
	}
	switch {
	case how == noneOfIt:
		return hidden, true
	case n.skipped:
		return e.reference(n.raw, how), false
	case n.list != nil:
		return e.shownList(n.list, t, how)
	case n.table != nil:
		table := make(map[string]any, len(n.table))
		for _, child := range n.children() {
			of, tag := fieldOf(t, child.name())
			inner, isSecret := e.shown(child, of, secrecyOf(tag, child.name(), how))
			table[child.name()], secret = inner, secret || isSecret
		}
		return table, secret
	}
	text, isText := n.value.(string)
	if !isText {
		return n.value, false
	}
	if n.commas && isList(t) {
		return e.shownList(splitCommas(n, text), t, how)
	}
	if n.loose {
		if typed, ok := n.typed(t); ok {
			return typed, false
		}
	}
	seen := e.censor.show(text, how)
	return seen, seen != text
}

// fieldOf is the type of what a struct or a map has under a key, and the tag that says
// whether it is a secret; nil when nobody knows.
func fieldOf(t reflect.Type, key string) (of reflect.Type, secret string) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil:
	case t.Kind() == reflect.Map:
		return t.Elem(), ""
	case t.Kind() == reflect.Struct:
		for _, field := range fieldsOf(t) {
			if tagName(field) == key {
				return field.Type, field.Tag.Get("secret")
			}
		}
	}
	return nil, ""
}

// shownList also hides what follows a flag such as --token.
func (e *inForce) shownList(items []*node, t reflect.Type, how secrecy) (value any, secret bool) {
	list := make([]any, 0, len(items))
	var element reflect.Type
	if t != nil && t.Kind() == reflect.Slice {
		element = t.Elem()
	}
	afterFlag := false
	for _, item := range items {
		own := how
		if afterFlag && how == withoutKeys {
			own = noneOfIt
		}
		inner, isSecret := e.shown(item, element, own)
		list, secret = append(list, inner), secret || isSecret
		text, _ := item.value.(string)
		afterFlag = strings.HasPrefix(text, "-") && !strings.Contains(text, "=") && isSecretName(text)
	}
	return list, secret
}

// reference is a text with its references as it is written, without what must not be seen
// of the words around them.
func (e *inForce) reference(raw string, how secrecy) string {
	parts := references(raw)
	if slices.ContainsFunc(parts, reference.isSecret) {
		how = noneOfIt
	}
	var b strings.Builder
	var marks []string // a mark and what it stands for
	for i, part := range parts {
		mark := fmt.Sprintf("\x00%d\x00", i)
		switch {
		case part.literal != "" && how > withoutKeys:
			b.WriteString(hidden)
			continue
		case part.literal != "":
			b.WriteString(part.literal)
			continue
		case part.file != "":
			marks = append(marks, mark, "${file:"+part.file+"}")
		case part.fallback != nil && *part.fallback != "":
			marks = append(marks, mark, "${"+part.variable+":-"+e.censor.show(*part.fallback, how)+"}")
		case part.fallback != nil:
			marks = append(marks, mark, "${"+part.variable+":-}")
		default:
			marks = append(marks, mark, "${"+part.variable+"}")
		}
		b.WriteString(mark)
	}
	text := b.String()
	if how == withoutPasswords || how == withoutKeys { // one may have a reference in its middle
		text = e.censor.withoutPasswords(text)
	}
	return strings.NewReplacer(marks...).Replace(text)
}

// isList reports whether a field may hold a list, and a variable writes it with commas.
func isList(t reflect.Type) bool {
	return t != nil && (t.Kind() == reflect.Slice || t == reflect.TypeFor[names]())
}

// typed is text that stands for a number or a boolean as that.
func (n *node) typed(t reflect.Type) (any, bool) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil, t == reflect.TypeFor[time.Duration](), t == reflect.TypeFor[size](), t == reflect.TypeFor[router.Size]():
		return nil, false
	case t.Kind() == reflect.Bool, t == reflect.TypeFor[deadLetter](), t == reflect.TypeFor[splitPath]():
		return boxed(n.boolean())
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return boxed(n.integer())
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return boxed(n.float())
	}
	return nil, false
}

func boxed[T any](value T, ok bool) (any, bool) { return value, ok }

// optionDefault is a default of an option, as a file would have it; nil: there is none.
func optionDefault(v reflect.Value) any {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			return nil
		}
	default: // zero is a value like others
	}
	value, ok := plainValue(v)
	if !ok {
		return nil
	}
	return value
}

// tomlText is a value as TOML has it, on one line.
func tomlText(value any) string {
	switch v := value.(type) {
	case string:
		return tomlString(v)
	case float64:
		return tomlFloat(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = tomlText(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		pairs := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			pairs = append(pairs, tomlKey(key)+" = "+tomlText(v[key]))
		}
		if len(pairs) == 0 {
			return "{}"
		}
		return "{ " + strings.Join(pairs, ", ") + " }"
	case nil:
		return `""`
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(value)
}

func tomlFloat(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	case math.IsNaN(v):
		return "nan"
	}
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

// tomlString is a basic string of TOML. What could play tricks on a terminal is escaped.
func tomlString(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text { // a byte that is no UTF-8 is a U+FFFD
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			fmt.Fprintf(&b, `\u%04X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// tomlKey is a key, in quotes where TOML needs them.
func tomlKey(name string) string {
	bare := name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-'
	})
	if bare {
		return name
	}
	return tomlString(name)
}

// tomlPath joins keys with dots.
func tomlPath(path []string) string {
	keys := make([]string, len(path))
	for i, key := range path {
		keys[i] = tomlKey(key)
	}
	return strings.Join(keys, ".")
}
