//go:build failpoints

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestHarnessCatches runs routers that make a mistake on purpose, and fails when no
// invariant complains: then the suite would not notice the mistake in earnest either.
func TestHarnessCatches(t *testing.T) {
	places := make(chan struct{}, *together)
	for _, tt := range []struct {
		broken string // see package failpoint
		fault  string
		by     string // the invariants that may complain
	}{
		{"ack-first", "kill_in_handler", "I1"},
		{"group-at-end", "flushall", "I1"},
		{"no-ack", "kill_in_handler", "I1"},
		{"no-claim", "kill_in_handler", "I7"},
		{"no-claim", "pending_of_a_foreign_consumer", "I7"},
		{"no-reread", "replies_cut", "I7"},
		{"cursor-reset", "pending_of_a_foreign_consumer", "I7"},
		{"no-heartbeat", "handler_slower_than_claim_after", "I4 I5"},
		{"no-heartbeat", "batch_ages_in_the_queue", "I4 I5"},
		{"done-first", "dedupe_kill_in_handler", "I1"},
		{"own-clock", "clock_1h_ahead", "I1"},
		{"own-clock", "clock_1h_behind", "I2"},
		{"ignore-dead", "dead_letter_refused", "I1"},
		{"delete-consumer", "terminated_under_load", "I1"},
		{"retry-new-id", "acks_and_adds_cut", "I2"},
	} {
		t.Run(tt.broken+"/"+tt.fault, func(t *testing.T) {
			t.Parallel()
			places <- struct{}{}
			defer func() { <-places }()
			all := faults()
			i := slices.IndexFunc(all, func(f fault) bool { return f.name == tt.fault })
			if i < 0 {
				t.Fatalf("no fault %q", tt.fault)
			}
			const tries = 3 // a kill may hit when nothing is in hand
			var found []string
			for n := range tries {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					r := newRound(t, *seed+uint64(n), tt.broken) //nolint:gosec // not negative
					all[i].run(r)
					r.finish()
					found = append(found, r.found...)
				})
				for by := range strings.FieldsSeq(tt.by) {
					if slices.ContainsFunc(found, func(v string) bool { return strings.HasPrefix(v, by+":") }) {
						return
					}
				}
			}
			t.Errorf("nobody noticed %s by %s; found: %q", tt.broken, tt.by, found)
		})
	}
}
