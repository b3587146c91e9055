package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRates(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	begin := now
	r := newRates(func() time.Time { return now }, true)
	check := func(want ...string) {
		t.Helper()
		var got []string
		for _, row := range r.shown().Rows {
			got = append(got, strings.Join(row.cells(), " "))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after %s:\n%s\nwant\n%s", now.Sub(begin), strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	check()

	// What was kept counts from its first message on, and not for the last second.
	r.saw("orders", now.Add(-100*time.Second)) // of a type that is not shown
	for i := range 10 {
		r.saw("orders", now.Add(time.Duration(i-90)*time.Second))
		r.add("orders", oneType, "enter", 50, now.Add(time.Duration(i-90)*time.Second))
	}
	check("orders enter 0 0.100 10 0 1m")
	r.live()

	// Before the first second has gone, what came stands for it.
	now = now.Add(500 * time.Millisecond)
	for range 4 {
		r.saw("prices", now)
		r.add("prices", oneType, "tick", 100, now.Add(-time.Hour)) // its own time is not its age
	}
	check("orders enter 0 0.100 10 0 1m", "prices tick 8.0 8.0 4 800 0s")

	now = begin.Add(time.Second)
	r.tick()
	check("orders enter 0 0.099 10 0 1m", "prices tick 4.0 4.0 4 400 0s")

	now = begin.Add(1500 * time.Millisecond)
	r.add("prices", rejected, "", 7, now)
	r.add("orders", oneType, "enter", 50, now)
	check("orders enter 0 0.108 11 0 0s", "prices tick 4.0 2.7 4 400 1s", "prices rejected 0 0.667 1 0 0s")
	now = begin.Add(2 * time.Second)
	r.tick()
	check("orders enter 1.0 0.108 11 50 0s", "prices tick 0 2.0 4 0 1s", "prices rejected 1.0 0.500 1 7 0s")
}

// TestRatesAreBounded sends types as a stranger would who wants to fill the memory.
func TestRatesAreBounded(t *testing.T) {
	r := newRates(time.Now, false)
	r.add("a", oneType, strings.Repeat("x", longType+1), 1, time.Now())
	for i := range 3 * maxRates {
		r.add("a", oneType, fmt.Sprint("type-", i), 1, time.Now())
		r.add("b", oneType, "known", 1, time.Now())
	}
	r.add("a", rejected, "", 1, time.Now())
	rows := r.shown().Rows
	if n := len(rows); n != maxRates+1 {
		t.Errorf("%d rows, want %d and one for rejected", n, maxRates)
	}
	counted := map[rateKind]int64{}
	for _, row := range rows {
		counted[row.kind] += row.Total
	}
	if all := counted[oneType] + counted[otherTypes]; all != 6*maxRates+1 || counted[otherTypes] < 2*maxRates || counted[rejected] != 1 {
		t.Errorf("counted %v", counted)
	}
}

func TestRatesTable(t *testing.T) {
	rows := []rateRow{
		{Channel: "bot_status", Type: "heartbeat", PerSecond: 2, Average: 1.96, Total: 120, BytesPerSecond: 180.4, Age: 0.4},
		{Channel: "prices", Type: "tick", PerSecond: 12345.6, Average: 9876.5, Total: 1234567, BytesPerSecond: 1e6, Age: 0.001},
		{Channel: "prices", Type: "\x1b[2J" + strings.Repeat("ü", 60), Average: 0.0125, Total: 1, Age: 80},
		{Channel: "prices", kind: otherTypes, PerSecond: 1, Average: 1, Total: 7, Age: 90_000},
		{Channel: "prices", kind: rejected, Average: 0.5, Total: 30, Age: 7_200},
	}
	long := `\x1b[2J` + strings.Repeat("ü", 44) + "…"
	pad := strings.Repeat(" ", len([]rune(long))-9)
	for _, tc := range []struct {
		width, height int
		want          string
	}{
		{0, 0, "" +
			"channel     type     " + pad + "    msg/s  average    total  bytes/s  age\n" +
			"bot_status  heartbeat" + pad + "      2.0      2.0      120      180   0s\n" +
			"prices      tick     " + pad + "  12345.6   9876.5  1234567  1000000   0s\n" +
			"prices      " + long + "        0    0.013        1        0   1m\n" +
			"prices      other types" + pad[2:] + "      1.0      1.0        7        0  25h\n" +
			"prices      rejected " + pad + "        0    0.500       30        0   2h\n"},
		{24, 0, "" +
			"channel     type       …\n" +
			"bot_status  heartbeat  …\n" +
			"prices      tick       …\n" +
			"prices      \\x1b[2Jüüüü…\n" +
			"prices      other types…\n" +
			"prices      rejected   …\n"},
		{80, 4, "" + // the busiest, in their order
			"channel     type         msg/s  average    total  bytes/s  age\n" +
			"bot_status  heartbeat      2.0      2.0      120      180   0s\n" +
			"prices      tick       12345.6   9876.5  1234567  1000000   0s\n" +
			"… and 3 more\n"},
		{1, 6, "…\n…\n…\n…\n…\n…\n"},
		{80, 1, "channel  type  msg/s  average  total  bytes/s  age\n… and 5 more\n"},
	} {
		if got := ratesTable(rows, tc.width, tc.height); got != tc.want {
			t.Errorf("%d × %d:\n%swant\n%s", tc.width, tc.height, got, tc.want)
		}
	}
	if got := ratesTable(nil, 80, 24); got != "channel  type  msg/s  average  total  bytes/s  age\n" {
		t.Errorf("of nothing: %q", got)
	}
}

// TestMeter runs one that is told the size of a terminal, one that writes JSON, and one
// that writes to a file, each for two and a half seconds with two events a second.
func TestMeter(t *testing.T) {
	measured := func(t *testing.T, set func(*meter)) (text string) {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			m := newMeter(&out, false, newRates(time.Now, false), &where{missing: doubt{events: 2}}, stop)
			set(m)
			err := m.during(ctx, func(context.Context) error {
				for range 5 {
					time.Sleep(250 * time.Millisecond)
					m.add("prices", oneType, "tick", 10, time.Now())
					time.Sleep(250 * time.Millisecond)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			text = out.String()
		})
		return text
	}
	t.Run("file", func(t *testing.T) {
		got := measured(t, func(*meter) {})
		if want := "channel  type  msg/s  average  total  bytes/s  age\nprices   tick    2.0      2.0      5       20   0s\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("json", func(t *testing.T) {
		var totals []int64
		for line := range strings.Lines(measured(t, func(m *meter) { m.json = true })) {
			var shown ratesShown
			if err := json.Unmarshal([]byte(line), &shown); err != nil || len(shown.Rows) != 1 || shown.PassedOver != 2 {
				t.Fatalf("%s: %v", line, err)
			}
			totals = append(totals, shown.Rows[0].Total)
		}
		if len(totals) != 3 || totals[2] != 5 {
			t.Errorf("lines have the totals %d, want two and the last", totals)
		}
	})
	t.Run("terminal", func(t *testing.T) {
		got := measured(t, func(m *meter) { m.size = func() (int, int) { return 40, 24 } })
		frames := strings.SplitAfter(got, "\x1b[?7h")
		if len(frames) != 5 || frames[4] != "" {
			t.Fatalf("%d frames, want one at the beginning, two, and one at the end: %q", len(frames)-1, got)
		}
		want := "\x1b[?7l\r\x1b[3A" +
			"\x1b[2Kchannel  type  msg/s  average  total  b…\n" +
			"\x1b[2Kprices   tick    2.0      2.0      5   …\n" +
			"\x1b[2K2 events passed over by --where\n" +
			"\x1b[J\x1b[?7h"
		if frames[3] != want {
			t.Errorf("the last frame is %q, want %q", frames[3], want)
		}
		if strings.Contains(frames[0], "A\x1b") {
			t.Errorf("the first frame writes over what stood there before: %q", frames[0])
		}
	})
}

func TestMeterStopsWhenNobodyReads(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	newMeter(brokenPipe{}, true, newRates(time.Now, false), nil, stop).show()
	if ctx.Err() == nil {
		t.Error("goes on though nobody reads")
	}
}
