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
	places := make(chan struct{}, *together)
	t.Cleanup(func() { results.print(t, all) })
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			if f.large && !*large {
				t.Skip("takes minutes: only with -large")
			}
			t.Parallel()
			for i := range f.rounds() {
				s := *seed + uint64(i) //nolint:gosec // not negative
				t.Run(fmt.Sprint(s), func(t *testing.T) {
					t.Parallel()
					if !f.once { // what takes minutes is mostly waiting, and begins at once
						places <- struct{}{}
						defer func() { <-places }()
					}
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

// rounds is how many there are to be.
func (f fault) rounds() int {
	if f.once {
		return 1
	}
	return *rounds
}
