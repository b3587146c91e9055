package routesfile

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// literal is a number or a size as the file has it.
func (n *node) literal() string {
	if text, ok := n.value.(string); ok || n.secret {
		return n.quoted(text)
	}
	return fmt.Sprint(n.value)
}

func (n *node) boolean() (value, ok bool) {
	if text, isText := n.value.(string); isText && n.loose {
		return text == "true", text == "true" || text == "false"
	}
	value, ok = n.value.(bool)
	return value, ok
}

func (n *node) integer() (int64, bool) {
	if text, isText := n.value.(string); isText && n.loose {
		value, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		return value, err == nil
	}
	value, ok := n.value.(int64)
	return value, ok
}

func (n *node) float() (float64, bool) {
	switch v := n.value.(type) {
	case float64:
		return v, !math.IsInf(v, 0) && !math.IsNaN(v)
	case int64:
		return float64(v), true
	case string:
		value, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return value, n.loose && err == nil && !math.IsInf(value, 0) && !math.IsNaN(value)
	}
	return 0, false
}

// unquote is the remedy for a number or a boolean in quotes.
func (n *node) unquote(values ...string) string {
	text, ok := n.value.(string)
	if !ok || n.loose || n.source != "" {
		return ""
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil && len(values) == 0 || slices.Contains(values, text) {
		return "; remove the quotes"
	}
	return ""
}

// truth is the remedy for what is true or false elsewhere.
func (n *node) truth() string {
	if remedy := n.unquote("true", "false"); remedy != "" || n.source != "" {
		return remedy
	}
	switch strings.ToLower(fmt.Sprint(n.value)) {
	case "true", "yes", "on", "1":
		return "; write true"
	case "false", "no", "off", "0":
		return "; write false"
	}
	return ""
}

// tableForm is how the table at n is written: with a header if it has a name of its own,
// else in a line, with its first key.
func tableForm(n *node, shape reflect.Type) string {
	named := slices.Contains(namedTables(), n.path[0])
	switch first := ""; {
	case n.path[0] == "routes" && len(n.path) == 2:
		return "[[routes]] and its keys below"
	case len(n.path) == 1, named && len(n.path) == 2:
		return "[" + strings.Join(n.path, ".") + "] and its keys below"
	default:
		if fields := fieldsOf(shape); len(fields) > 0 {
			first = tagName(fields[0])
		}
		value := "…"
		if number, ok := n.value.(int64); ok {
			value = strconv.FormatInt(number, 10)
		}
		return fmt.Sprintf("%s = { %s = %s }", n.name(), cmp.Or(first, "key"), value)
	}
}

// plain is n as ordinary Go values, for options of type any.
func (n *node) plain() any {
	switch {
	case n.table != nil:
		table := make(map[string]any, len(n.table))
		for key, child := range n.table {
			if !child.skipped {
				table[key] = child.plain()
			}
		}
		return table
	case n.list != nil:
		list := make([]any, len(n.list))
		for i, child := range n.list {
			list[i] = child.plain()
		}
		return list
	}
	return n.value
}
