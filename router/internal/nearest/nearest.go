package nearest

import (
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
	best, bestSteps, found := "", most, false
	lower := strings.ToLower(name)
	for _, candidate := range valid {
		if len(candidate) > maxCompared || abs(len(candidate)-len(name)) > bestSteps {
			continue
		}
		n := steps(lower, strings.ToLower(candidate), bestSteps)
		if n < bestSteps || n == bestSteps && (!found || candidate < best) {
			best, bestSteps, found = candidate, n, true
		}
	}
	return best, found
}

// steps counts insertions, deletions, replacements and swaps of neighbours (optimal
// string alignment): "lgo" is one step from "log". More than most are too many to count.
func steps(a, b string, most int) int {
	if len(a) > maxCompared || len(b) > maxCompared { // some letters are longer in the other case
		return most + 1
	}
	var rows [3][maxCompared + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > most+1 { // a swap looks two rows back, and saves one
			return least
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func abs(n int) int { return max(n, -n) }
