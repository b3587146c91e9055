package transport

import (
	"testing"
	"time"
)

// A reader that waits because claimers have half of the window must go on when they
// end, not only when the next entry is done: with in_flight = 1 none may be in hand.
func TestWindowWakesReaderWhenClaimsEnd(t *testing.T) {
	t.Parallel()
	w := newWindow(1)
	w.claiming(1)
	got := make(chan int)
	go func() { got <- w.reserve(t.Context(), 1, 1, false) }()
	waiting := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.least > 0
	}
	eventually(t, "the reader waits", waiting)
	w.claiming(-1)
	select {
	case <-got:
	case <-time.After(2 * time.Second):
		t.Fatal("the reader waits for a place that is free")
	}
}
