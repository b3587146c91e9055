package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercent(t *testing.T) {
	for live, want := range map[uint64]int{0: 1000, 1 << 20: 1000, 4 << 20: 800, 16 << 20: 200, 32 << 20: 100, 1 << 30: 100} {
		if got := percent(live); got != want {
			t.Errorf("%d bytes in use: %d %%, want %d", live, got, want)
		}
	}
}

// gcPercent reads what is set; that cannot be done without setting it.
func gcPercent() int {
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent
}

// A small heap is collected seldom, a large one as usual, and when the program ends
// everything is as it was.
func TestHeapPaces(t *testing.T) {
	if _, set := os.LookupEnv("GOGC"); set {
		t.Skip("GOGC is set, and wins")
	}
	before := gcPercent()
	h := newHeap()
	large := make([]byte, 256<<20)
	eventually(t, "the pace of a large heap", func() bool {
		runtime.GC()
		return gcPercent() == 100
	})
	runtime.KeepAlive(large)
	eventually(t, "the pace of a small heap", func() bool {
		runtime.GC()
		return gcPercent() > 100
	})
	h.end()
	runtime.GC()
	if got := gcPercent(); got != before {
		t.Errorf("afterwards %d %%, want %d", got, before)
	}
}

func TestHeapLeavesGOGC(t *testing.T) {
	t.Setenv("GOGC", "70")
	before := gcPercent()
	h := newHeap()
	defer h.end()
	if got := gcPercent(); got != before {
		t.Errorf("%d %%, want %d", got, before)
	}
}
