// Package wording writes counts and durations as people do.
package wording

import (
	"fmt"
	"strings"
	"time"
)

// Count is "1 route" or "3 routes".
func Count(n int, what string) string { return Several(int64(n), what, what+"s") }

// Several is Count for what has another plural: "1 entry waits", "2 entries wait".
func Several(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Duration is 10m and 24h, not 10m0s and 24h0m0s. A file may have it so.
func Duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
