//go:build !failpoints

package failpoint

// Hit does what was asked for at a point; here, nothing.
func Hit(Point) {}

// Broken reports whether the program is to make a mistake; here, never.
func Broken(Defect) bool { return false }
