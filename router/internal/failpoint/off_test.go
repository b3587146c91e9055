//go:build !failpoints

package failpoint

import "testing"

// A build without the tag cannot be broken, whatever its environment says.
func TestOff(t *testing.T) {
	t.Setenv("CHAOS_FAILPOINTS", "after-read=kill@1")
	t.Setenv("CHAOS_BROKEN", string(AckFirst))
	t.Setenv("CHAOS_CLOCK", "1h")
	Hit(AfterRead)
	if Broken(AckFirst) || Skew() != 0 {
		t.Error("this build can be broken")
	}
	if n := testing.AllocsPerRun(100, func() { Hit(AfterRead) }); n > 0 {
		t.Errorf("a point costs %v allocations", n)
	}
}
