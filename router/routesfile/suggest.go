package routesfile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"signalbox/router/internal/nearest"
)

// maxListed is how many names an error lists when none is near.
const maxListed = 24

// didYouMean ends an error about an unknown name: with the nearest valid name, else
// with the valid names. What says what they are: "channels".
func didYouMean(name, what string, valid []string) string {
	if near, ok := nearest.Name(name, valid); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	if several := inCommas(name, valid); several != "" {
		return "; several are a list: " + several
	}
	return listing(what, valid)
}

// inCommas is the list of names that a text with commas means, if each is valid.
func inCommas(text string, valid []string) string {
	names := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	for i, name := range names {
		if !slices.Contains(valid, name) {
			return ""
		}
		names[i] = fmt.Sprintf("%q", name)
	}
	if len(names) < 2 {
		return ""
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// elsewhere ends an error about a key that its table has not: with the nearest key that it
// has, else with the tables that have it, since a key belongs to the last table before it.
func elsewhere(n *node, key, what string, valid []string) string {
	tables := tablesWith(key)
	if other := synonym(n, key); other != "" {
		return other
	}
	_, near := nearest.Name(key, valid)
	if !near && slices.Contains(topTables(), key) && len(n.path) > 0 {
		return fmt.Sprintf("; it is a table of its own: write %s in a line, and its keys below", headerOf(key))
	}
	if near || len(tables) == 0 || len(n.path) > 0 && !n.hasHeader() {
		return didYouMean(key, what, valid)
	}
	if len(n.path) == 0 {
		return fmt.Sprintf("; it is a key of %s: write it below that line", alternatives(tables))
	}
	here := "[" + strings.Join(n.path, ".") + "]"
	if slices.Contains(lists(), n.path[0]) {
		here = headerOf(n.path[0])
	}
	return fmt.Sprintf("; it is a key of %s, and a key belongs to the last [table] above it, here %s: move it", alternatives(tables), here)
}

// keyNames lists the keys of a struct.
func keyNames(shape reflect.Type) []string {
	var names []string
	for _, field := range fieldsOf(shape) {
		names = append(names, tagName(field))
	}
	return names
}

// tablesWith lists the tables that have a key, as they are written.
func tablesWith(key string) []string {
	var tables []string
	for _, field := range fieldsOf(reflect.TypeFor[rawFile]()) {
		inner := field.Type
		switch inner.Kind() {
		case reflect.Map:
			inner = inner.Elem().Elem()
		case reflect.Slice:
			inner = inner.Elem()
		}
		if slices.ContainsFunc(fieldsOf(inner), func(f reflect.StructField) bool { return tagName(f) == key }) {
			tables = append(tables, header(tagName(field), shapeOf(field.Type)))
		}
	}
	return tables
}

// headerOf is how a table of the file is written.
func headerOf(table string) string {
	for _, field := range fieldsOf(reflect.TypeFor[rawFile]()) {
		if tagName(field) == table {
			return header(table, shapeOf(field.Type))
		}
	}
	return "[" + table + "]"
}

// listing is "; what: a, b, c".
func listing(what string, valid []string) string {
	switch {
	case len(valid) == 0 && what == "channels":
		return "; there are no channels: [channels.NAME] declares one, here or in a file beside this one, after another -c"
	case len(valid) == 0:
		return fmt.Sprintf("; there are no %s", what)
	}
	valid = slices.Sorted(slices.Values(valid))
	more := ""
	if len(valid) > maxListed {
		more = fmt.Sprintf(" and %d more", len(valid)-maxListed)
		valid = valid[:maxListed]
	}
	for i, name := range valid {
		valid[i] = shorten(name)
	}
	return fmt.Sprintf("; %s: %s%s", what, strings.Join(valid, ", "), more)
}

// alternatives is "a, b or c".
func alternatives(values []string) string {
	last := len(values) - 1
	if last == 0 {
		return values[0]
	}
	return strings.Join(values[:last], ", ") + " or " + values[last]
}
