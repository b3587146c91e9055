package routesfile

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// literal is a number or a size as the file has it.
func (n *node) literal() string {
	if text, ok := n.value.(string); ok {
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
