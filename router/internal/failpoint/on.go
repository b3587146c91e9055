//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// action is what happens when a point is reached for the nth time.
type action struct {
	nth   int64
	pause time.Duration // 0: the process is killed
	hits  atomic.Int64
}

// plan is read once: a point is reached from anywhere, so there is nobody to pass it on.
//
//nolint:gochecknoglobals // only in builds that are made to be broken
var plan = sync.OnceValue(func() map[Point]*action {
	actions, err := parse(os.Getenv("CHAOS_FAILPOINTS"))
	if err != nil {
		panic(err)
	}
	return actions
})

//nolint:gochecknoglobals // the same
var defect = sync.OnceValue(func() Defect { return Defect(os.Getenv("CHAOS_BROKEN")) })

// parse reads "point=kill@3,point=pause:2s@1".
func parse(text string) (map[Point]*action, error) {
	actions := map[Point]*action{}
	for item := range strings.SplitSeq(text, ",") {
		if item == "" {
			continue
		}
		point, what, _ := strings.Cut(item, "=")
		what, count, _ := strings.Cut(what, "@")
		nth, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("CHAOS_FAILPOINTS: %q: want point=kill@N or point=pause:DURATION@N", item)
		}
		a := &action{nth: nth}
		if what != "kill" {
			if a.pause, err = time.ParseDuration(strings.TrimPrefix(what, "pause:")); err != nil {
				return nil, fmt.Errorf("CHAOS_FAILPOINTS: %q: %w", item, err)
			}
		}
		actions[Point(point)] = a
	}
	return actions, nil
}

// Hit does what was asked for at a point.
func Hit(p Point) {
	a := plan()[p]
	if a == nil || a.hits.Add(1) != a.nth {
		return
	}
	if a.pause > 0 {
		time.Sleep(a.pause)
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}

//nolint:gochecknoglobals // the same
var skew = sync.OnceValue(func() time.Duration {
	d, _ := time.ParseDuration(os.Getenv("CHAOS_CLOCK"))
	return d
})

// Skew is by how much the machine's clock is ahead.
func Skew() time.Duration { return skew() }

// Broken reports whether the program is to make a mistake.
func Broken(d Defect) bool { return defect() == d }
