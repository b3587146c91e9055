package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"signalbox/internal/redistest"
)

// A million messages, each of a type and on a Redis channel that nobody has heard of, add
// no series to the metrics and no memory worth speaking of.
func TestAMillionNamesAddNoSeries(t *testing.T) {
	t.Parallel()
	const all, slice = 1_000_000, 5_000
	server := redistest.Start(t)
	routes, listen := filepath.Join(t.TempDir(), "routes.toml"), freeAddress(t)
	if err := os.WriteFile(routes, []byte(`
[redis]
url = "${REDIS_URL}"
[log]
format = "json"
[http]
listen = "`+listen+`"
[channels.sensors]
transport = "pubsub"
pattern   = "sensors:*"
[[routes]]
channel = "sensors"
type    = ["known", "n.*"]
handler = "drop"
`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startRouter(t, server.URL(), "run", "-c", routes)
	r.awaitReady()
	send := func(from int) {
		pipe := server.Client().Pipeline()
		for i := from; i < from+slice; i++ {
			typ := fmt.Sprint("n.", i)
			if i%2 == 0 {
				typ = fmt.Sprint("unmatched.", i)
			}
			pipe.Publish(t.Context(), fmt.Sprint("sensors:", i), fmt.Sprintf(`{"type":%q}`, typ))
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	metrics := func() (series []string, received int) {
		for line := range strings.Lines(askRouter(t, "GET", "http://"+listen+"/metrics", "", "")) {
			if !strings.HasPrefix(line, "signalbox_") {
				continue
			}
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			series = append(series, name)
			if name == `signalbox_events_received_total{channel="sensors",type="other"}` || strings.HasPrefix(name, `signalbox_events_dropped_total{channel="sensors"`) {
				var n float64
				if _, err := fmt.Sscan(value, &n); err != nil {
					t.Fatal(err)
				}
				received += int(n)
			}
		}
		return series, received
	}
	sent := func(n int) func() bool {
		return func() bool {
			_, received := metrics()
			return received >= n
		}
	}
	send(0)
	eventually(t, "the first have arrived", sent(slice))
	before, _ := metrics()
	small := resident(t, r.cmd.Process.Pid)
	for from := slice; from < all; from += slice {
		send(from)
	}
	eventually(t, "all have arrived, or were counted as dropped", sent(all))
	after, _ := metrics()
	if got, want := strings.Join(after, "\n"), strings.Join(before, "\n"); got != want {
		t.Errorf("there were %d series, there are %d:\n%s", len(before), len(after), got)
	}
	t.Logf("%d series; resident %d MB after %d messages, %d MB after a million", len(after), small>>20, slice, resident(t, r.cmd.Process.Pid)>>20)
	most := 96 << 20 // 65,536 may wait, and the heap may double
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		most *= 4
	}
	if grown := resident(t, r.cmd.Process.Pid) - small; grown > most {
		t.Errorf("%d MB more are resident", grown>>20)
	}
}

// resident is the memory of a process, in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	var all, pages int
	if _, bad := fmt.Sscan(string(text), &all, &pages); err != nil || bad != nil {
		t.Skipf("this machine does not tell what a process takes: %v", err)
	}
	return pages * os.Getpagesize()
}
