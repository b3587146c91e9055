package routesfile

import (
	"fmt"
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
	return listing(what, valid)
}

// listing is "; what: a, b, c".
func listing(what string, valid []string) string {
	if len(valid) == 0 {
		return fmt.Sprintf("; there are no %s", what)
	}
	valid = slices.Sorted(slices.Values(valid))
	more := ""
	if len(valid) > maxListed {
		more = fmt.Sprintf(" and %d more", len(valid)-maxListed)
		valid = valid[:maxListed]
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
