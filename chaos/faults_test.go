//go:build failpoints

package chaos

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// faults are all of them, in the order of docs/reliability.md.
func faults() []fault {
	return slices.Concat(killFaults(), groupFaults(), claimFaults(), linkFaults(), redisFaults(), processFaults(), pubsubFaults(), poisonFaults(), trimFaults(), dedupeFaults(), clockFaults(), reloadFaults(), largeFaults())
}

// TestFaults breaks things, and nothing may be lost.
func TestFaults(t *testing.T) {
	all := faults()
	results := &report{begin: time.Now()}
	t.Cleanup(func() { results.print(t, all) })
	for _, f := range longestFirst(all) {
		t.Run(f.name, func(t *testing.T) {
			if f.large && !*large {
				t.Skip("takes minutes: only with -large")
			}
			t.Parallel()
			for i := range f.rounds() {
				s := *seed + uint64(i) //nolint:gosec // not negative
				t.Run(fmt.Sprint(s), func(t *testing.T) {
					t.Parallel()
					begin := time.Now()
					r := newRound(t, s, "")
					defer func() { results.add(f, s, r, time.Since(begin)) }()
					f.run(r)
					r.finish()
					for _, violation := range r.found {
						t.Error(violation)
					}
					if t.Failed() {
						t.Logf("again: make chaos ROUNDS=1 ARGS='-run TestFaults/%s$ -seed %d'", f.name, s)
					}
				})
			}
		})
	}
}

// longestFirst puts what takes minutes at the beginning, so that it does not run alone at
// the end.
func longestFirst(all []fault) []fault {
	return slices.SortedStableFunc(slices.Values(all), func(a, b fault) int {
		switch {
		case a.once == b.once:
			return 0
		case a.once:
			return -1
		default:
			return 1
		}
	})
}

// rounds is how many there are to be.
func (f fault) rounds() int {
	if f.once {
		return 1
	}
	return *rounds
}
