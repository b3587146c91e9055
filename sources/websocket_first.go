package sources

import (
	"fmt"
	"sync"
	"time"
)

// wsFirst watches for the first data.
type wsFirst struct {
	to interface{ Trouble(err error) }

	mu      sync.Mutex
	seen    bool
	alarmed bool
	timer   *time.Timer
}

// within begins to wait; 0: for ever.
func (f *wsFirst) within(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen || d == 0 {
		return
	}
	f.timer = time.AfterFunc(d, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.seen {
			f.alarmed = true
			f.to.Trouble(fmt.Errorf("first_event: no data within %s of what was asked for", d))
		}
	})
}

// came tells that there is data.
func (f *wsFirst) came() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen {
		return
	}
	f.seen = true
	if f.timer != nil {
		f.timer.Stop()
	}
	if f.alarmed {
		f.to.Trouble(nil)
	}
}

// stop ends the watch: after it there is no alarm any more.
func (f *wsFirst) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = true
	if f.timer != nil {
		f.timer.Stop()
	}
}
