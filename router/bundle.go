package router

import (
	"sync"
	"time"
)

const (
	// bundleFrom is how many routes a batch must touch, and bundleMost how many events
	// they may have on average, for one worker to begin with all of them.
	bundleFrom = 8
	bundleMost = 4
	// bundleLook is how often is looked whether the worker of a bundle gets on. A look that
	// comes late says little: the worker does not get a processor either. So many count all
	// the same.
	bundleLook = time.Millisecond
	lateLooks  = 10
)

// bundle is the lanes of many routes, each with an event or two, that one worker handles
// one after the other: a goroutine for each would cost more than what they do.
//
// Routes don't wait for each other, though. When the worker has been with one of them for
// bundleLook, all that are left get workers of their own.
type bundle struct {
	mu     sync.Mutex
	lanes  []*lanes // that are left
	moved  bool     // since the last look
	late   int      // looks since it moved that came late
	looked time.Time
	timer  *time.Timer
}

// runBundle handles lanes, each of which counts a worker already.
func runBundle(all []*lanes) {
	b := &bundle{lanes: all[1:], looked: time.Now()}
	b.mu.Lock()
	b.timer = time.AfterFunc(bundleLook, b.look)
	b.mu.Unlock()
	go (&worker{lanes: all[0], bundle: b}).work()
}

// next takes lanes out; nil: there are no more.
func (b *bundle) next() *lanes {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moved = true
	if len(b.lanes) == 0 {
		b.timer.Stop()
		return nil
	}
	l := b.lanes[0]
	b.lanes = b.lanes[1:]
	return l
}

// look gives what is left to workers of their own, if nothing has moved since the last look.
func (b *bundle) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.looked) >= 2*bundleLook {
		b.late++
	} else {
		b.late = lateLooks
	}
	if b.moved {
		b.late = 0
	}
	b.moved, b.looked = false, now
	if b.late < lateLooks && len(b.lanes) > 0 {
		b.timer.Reset(bundleLook)
		return
	}
	for _, l := range b.lanes {
		go (&worker{lanes: l}).work()
	}
	b.lanes = nil
}
