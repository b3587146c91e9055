package routesfile

import (
	"fmt"
	"slices"
	"strings"
)

const (
	maxListed   = 24 // names an error lists when none is near
	maxCompared = 64 // longer names are not compared: the cost is quadratic
)

// didYouMean ends an error about an unknown name: with the nearest valid name, else
// with the valid names. What says what they are: "channels".
func didYouMean(name, what string, valid []string) string {
	if near, ok := nearest(name, valid); ok {
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

// nearest finds the valid name that name was probably meant to be.
func nearest(name string, valid []string) (string, bool) {
	if len(name) > maxCompared {
		return "", false
	}
	best, bestCost := "", max(1, len(name)/3)+1
	for _, candidate := range slices.Sorted(slices.Values(valid)) {
		if len(candidate) > maxCompared || abs(len(candidate)-len(name)) >= bestCost {
			continue
		}
		if cost := editDistance(strings.ToLower(name), strings.ToLower(candidate)); cost < bestCost {
			best, bestCost = candidate, cost
		}
	}
	return best, best != ""
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours
// (optimal string alignment): "lgo" is one step from "log".
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

func abs(n int) int { return max(n, -n) }

// alternatives is "a, b or c".
func alternatives(values []string) string {
	last := len(values) - 1
	if last == 0 {
		return values[0]
	}
	return strings.Join(values[:last], ", ") + " or " + values[last]
}
