package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// room is how much is allocated between two garbage collections, at least.
	room = 32 << 20
	// maxPercent bounds what a nearly empty heap makes of that.
	maxPercent = 1000
)

// heap lets the program allocate at least room between two garbage collections, and as
// much as is in use when that is more, which is Go's default. Events are garbage soon
// after they came, so a busy router with little in use would collect a hundred times a
// second, for nothing.
type heap struct {
	mu     sync.Mutex
	before int // what the percentage was
	now    int
	ended  bool
}

// newHeap sets the pace, unless GOGC in the environment does.
func newHeap() *heap {
	h := &heap{before: 100}
	if _, h.ended = os.LookupEnv("GOGC"); !h.ended {
		h.before = debug.SetGCPercent(h.before)
		h.pace()
	}
	return h
}

// pace sets when the next collection is due, and again after that.
func (h *heap) pace() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if now := percent(live[0].Value.Uint64()); now != h.now {
		h.now = now
		debug.SetGCPercent(now)
	}
	runtime.AddCleanup(new(collected), func(h *heap) { h.pace() }, h)
}

// collected is garbage at once: its cleanup runs after each collection.
type collected struct{ _ *byte }

// percent is how much may be allocated beside what is in use, in percent of that.
func percent(live uint64) int {
	return int(min(max(room*100/max(live, 1), 100), maxPercent)) //nolint:gosec // it is small
}

// end leaves the pace as it was.
func (h *heap) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ended {
		h.ended = true
		debug.SetGCPercent(h.before)
	}
}
