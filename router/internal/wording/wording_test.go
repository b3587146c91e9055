package wording

import (
	"testing"
	"time"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 routes", 1: "1 route", 2: "2 routes", -1: "-1 routes"} {
		if got := Count(n, "route"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := Several(2, "entry waits", "entries wait"); got != "2 entries wait" {
		t.Errorf("got %q", got)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", 10 * time.Minute: "10m", 90 * time.Second: "1m30s", 24 * time.Hour: "24h",
		time.Hour + time.Second: "1h0m1s", 90 * time.Minute: "1h30m", 200 * time.Millisecond: "200ms", -time.Hour: "-1h",
	} {
		got := Duration(d)
		if got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
		if back, err := time.ParseDuration(got); back != d || err != nil {
			t.Errorf("%q is %v again, %v", got, back, err)
		}
	}
}
