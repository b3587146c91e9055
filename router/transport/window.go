package transport

import (
	"context"
	"sync"
	"time"
)

// window bounds what a stream subscription has read and not completed.
//
// While entries are being claimed, reading leaves half of it alone: a reader that
// blocks with the whole window reserved would hold up claims for a second each.
type window struct {
	mu     sync.Mutex
	limit  int
	used   int
	claims int           // claimers at work
	least  int           // the smallest number of free places anybody waits for; 0: nobody
	wake   chan struct{} // closed to wake all who wait
}

func newWindow(limit int) *window {
	return &window{limit: limit, wake: make(chan struct{})}
}

// resize changes how many places there are. Those that are taken stay so.
func (w *window) resize(limit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = limit
	w.wakeAll()
}

// claiming notes that a claimer begins (1) or ends (-1). The end wakes the readers that
// left it their half: perhaps no other place ever comes free.
func (w *window) claiming(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.claims += n; w.claims == 0 {
		w.wakeAll()
	}
}

// reserve takes between 1 and most places. It waits until at least one is free, and
// then for a moment until wish are. It returns 0 when ctx ended.
func (w *window) reserve(ctx context.Context, wish, most int, claim bool) int {
	patience := time.NewTimer(time.Hour)
	defer patience.Stop()
	patient := false
	var enough bool
	for {
		w.mu.Lock()
		free := w.limit - w.used
		if !claim && w.claims > 0 {
			free -= max(1, w.limit/2)
		}
		if free >= wish || (free > 0 && enough) {
			n := min(free, most)
			w.used += n
			w.mu.Unlock()
			return n
		}
		wake := w.wake
		want := 1
		if free > 0 && !patient {
			patient = true
			patience.Reset(2 * time.Millisecond)
		}
		if free > 0 {
			want = w.limit - w.used + wish - free
		}
		if w.least == 0 || want < w.least {
			w.least = want
		}
		w.mu.Unlock()
		select {
		case <-wake:
		case <-patience.C:
			enough = true
		case <-ctx.Done():
			return 0
		}
	}
}

// release gives n places back.
func (w *window) release(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used -= n
	if w.least > 0 && w.limit-w.used >= w.least {
		w.wakeAll()
	}
}

// wakeAll has everybody who waits look again. The caller holds mu.
func (w *window) wakeAll() {
	w.least = 0
	close(w.wake)
	w.wake = make(chan struct{})
}

// inUse returns how many places are taken.
func (w *window) inUse() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.used
}
