package transport

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	w := newWindow(10)
	if n := w.reserve(t.Context(), 1, 256, false); n != 10 {
		t.Fatalf("got %d", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n := w.reserve(ctx, 1, 1, false); n != 0 {
		t.Fatalf("got %d places of a full window", n)
	}
	got := make(chan int)
	go func() { got <- w.reserve(t.Context(), 5, 256, false) }()
	w.release(2) // fewer than wished for, but enough after a moment
	if n := <-got; n != 2 {
		t.Fatalf("got %d", n)
	}
	w.release(10)
	w.claiming(1)
	if n := w.reserve(t.Context(), 5, 256, false); n != 5 {
		t.Fatalf("a reader got %d while entries are claimed", n)
	}
	if n := w.reserve(t.Context(), 1, 256, true); n != 5 {
		t.Fatalf("a claimer got %d", n)
	}
	go func() { got <- w.reserve(t.Context(), 1, 1, true) }()
	w.release(1)
	if n := <-got; n != 1 {
		t.Fatalf("got %d", n)
	}
}

func TestWindowNeverOverbooks(t *testing.T) {
	t.Parallel()
	w := newWindow(7)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 500 {
				n := w.reserve(t.Context(), 1+i, 3, i%2 == 0)
				if used := w.inUse(); used > 7 || n < 1 || n > 3 {
					t.Errorf("%d places of 7, got %d", used, n)
				}
				w.release(n)
			}
		})
	}
	wg.Wait()
}

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
