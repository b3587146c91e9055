//go:build !failpoints

package failpoint

import "time"

// Hit does what was asked for at a point; here, nothing.
func Hit(Point) {}

// Skew is by how much the machine's clock is ahead.
func Skew() time.Duration { return 0 }

// Broken reports whether the program is to make a mistake; here, never.
func Broken(Defect) bool { return false }
