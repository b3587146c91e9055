package nearest

import (
	"slices"
	"strings"
)

// maxCompared is the longest name that is compared: the cost is quadratic.
const maxCompared = 64

// Name returns the valid name that is fewest steps from name, not regarding case. It may
// be a third of name's length away, or one step if that is less; from a single letter
// nothing is near. Of equally near names it is the first in alphabetical order.
func Name(name string, valid []string) (string, bool) {
	if len(name) > maxCompared {
		return "", false
	}
	most := min(max(1, len(name)/3), len(name)-1) // "a" is not nearly "b"
	best, bestSteps := "", most+1
	for _, candidate := range slices.Sorted(slices.Values(valid)) {
		if len(candidate) > maxCompared || abs(len(candidate)-len(name)) >= bestSteps {
			continue
		}
		if n := steps(strings.ToLower(name), strings.ToLower(candidate)); n < bestSteps {
			best, bestSteps = candidate, n
		}
	}
	return best, best != ""
}

// steps counts insertions, deletions, replacements and swaps of neighbours (optimal
// string alignment): "lgo" is one step from "log".
func steps(a, b string) int {
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
