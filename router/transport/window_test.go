package transport

import (
	"testing"
	"testing/synctest"
)

// A reader is held back only while entries are being claimed: nothing else may ever
// wake it, since in a small window, or behind events that hang, no place comes free.
func TestWindowAfterClaims(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ limit, used int }{{limit: 1}, {limit: 10, used: 5}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWindow(tc.limit)
			w.used = tc.used
			w.claiming(1)
			got := 0
			go func() { got = w.reserve(t.Context(), 1, 256, false) }()
			synctest.Wait()
			if got != 0 {
				t.Fatalf("a reader got %d of %d places while entries are claimed", got, tc.limit-tc.used)
			}
			w.claiming(-1)
			synctest.Wait()
			if got != tc.limit-tc.used {
				t.Errorf("a reader got %d places after the claims, want %d", got, tc.limit-tc.used)
			}
		})
	}
}
