package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"signalbox/internal/pgtest"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(contenderEnv); name != "" {
		compete(name)
		return
	}
	os.Exit(m.Run())
}

// small is the benchmark with a redis-server and one round; without one the test is
// skipped, or fails in CI.
func small(t *testing.T) *bench {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Chdir("..")
	b := &bench{ctx: t.Context(), options: options{only: regexp.MustCompile("")}, dir: t.TempDir(), rounds: 1, drains: 1}
	var err error
	if b.server, err = startServer(b.ctx, b.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.server.stop)
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import redis").Run() == nil {
			b.python = name
		}
	}
	return b
}

// Every contender handles all of a small load, twice, and looks at each message.
func TestContenders(t *testing.T) {
	b := small(t)
	l := func() *load { return &load{n: 1000} }
	forward := signalboxOn(l(), "pubsub", "publish")
	forward.forward, forward.routes = true, func(channel string) routes {
		r := one(channel, "pubsub", "publish", `channel = "`+out(channel)+`"`)
		r.channels = append(r.channels, channelTable(out(channel), "stream"))
		return r
	}
	all := []*contender{
		{name: "go-redis loop", load: l()},
		{name: "go-redis, read only", load: l(), blind: true},
		{name: "watermill-redisstream", load: l(), stream: true},
		{name: "XREADGROUP loop", load: l(), stream: true},
		{name: "XADD for each message", load: l(), forward: true},
		{name: "XADD for each entry", load: l(), forward: true, stream: true},
		signalboxOn(l(), "pubsub", "look"),
		signalboxOn(l(), "pubsub", "decode"),
		signalboxOn(l(), "stream", "look"),
		signalboxOn(&load{n: 50, size: 64 << 10}, "pubsub", "look"),
		forward,
		routesOfTypes(100),
		onChannels(20),
	}
	all[len(all)-2].load.n, all[len(all)-1].load.n = 1000, 1000
	if b.python != "" {
		all = append(all, &contender{name: python, load: l()})
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			if rate, err := b.rate(c); err != nil || rate < 1 {
				t.Errorf("%v messages per second, %v", rate, err)
			}
		})
	}
	t.Run("hop", func(t *testing.T) {
		took, err := b.hops(&contender{name: "go-redis forwarder", load: &load{n: 300}}, &load{n: 300})
		if err != nil || len(took) != 100 || !slices.IsSorted(took) {
			t.Errorf("%v, %v", took, err)
		}
	})
	t.Run("routers in one group", func(t *testing.T) {
		if rate, err := b.together(2); err != nil || rate < 1 {
			t.Errorf("%v messages per second, %v", rate, err)
		}
	})
}

// Those that save have all of a small load in the table, twice.
func TestSavers(t *testing.T) {
	b := small(t)
	b.saves = 500
	if _, err := pgtest.Find(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	results, err := saveDrain(b)
	if err != nil || len(results) != 5 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for _, r := range results {
		if r.Value <= 0 {
			t.Errorf("%+v", r)
		}
	}
}

// A contender that does not handle what it is sent is found out.
func TestContenderThatCheats(t *testing.T) {
	b := small(t)
	cheat := &contender{name: "go-redis, read only", load: &load{n: 100}} // it looks at nothing, and should
	if _, err := b.rate(cheat); err == nil || !strings.Contains(err.Error(), "with the sum 0") {
		t.Errorf("error %v", err)
	}
	if _, err := b.start(&contender{name: "nobody", load: &load{n: 1}}); err == nil || !strings.Contains(err.Error(), `no contender "nobody"`) {
		t.Errorf("error %v", err)
	}
}

// Beside a process that is busy nothing is measured, and it is named.
func TestAlone(t *testing.T) {
	busy := exec.CommandContext(t.Context(), "sh", "-c", "while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = busy.Process.Kill()
		_ = busy.Wait()
	}()
	err := alone(t.Context())
	if err == nil || !strings.Contains(err.Error(), "of a core, most of all ") || !strings.Contains(err.Error(), "-busy") {
		t.Errorf("error %v", err)
	}
	if name := ticks()[busy.Process.Pid].name; name != "sh" && name != "dash" {
		t.Errorf("the busy process is called %q", name)
	}
}

func TestMessages(t *testing.T) {
	for _, size := range []int{0, 2 << 10, 64 << 10} {
		l := &load{n: 3, size: size}
		for i := range l.n {
			message := l.message(i)
			var event tick
			if err := json.Unmarshal(message, &event); err != nil {
				t.Fatal(err)
			}
			if want := max(size, tickSize); len(message) != want {
				t.Errorf("%d bytes, want %d", len(message), want)
			}
			if event.Type != "tick" || event.Data.Symbol != symbols[i] || event.ID == "" || event.Data.Bid == "" {
				t.Errorf("%+v", event)
			}
		}
	}
	if got := (&load{n: 2}).sum(); got != 7+'B'+7+'E' {
		t.Errorf("sum %d", got)
	}
}

func TestResults(t *testing.T) {
	all := []result{
		atLeast(2.5, "good", []float64{3, 2.4, 2.6}),
		atMost(1.1, "bad", times, []float64{1.2, 1, 1.3}),
		reported("slow", perSec, []float64{123456, 1200000}),
	}
	if all[0].Value != 2.6 || !all[0].Met || all[1].Value != 1.2 || all[1].Met || !all[1].Gate || all[2].Gate {
		t.Errorf("%+v", all)
	}
	if hard := all[1].because("it is hard"); hard.Gate || hard.Why != "it is hard" || len(unmet([]result{hard})) != 0 {
		t.Errorf("%+v", hard)
	}
	if met := all[0].because("it is hard"); !met.Gate || met.Why != "" {
		t.Errorf("%+v", met)
	}
	if got := unmet(all); len(got) != 1 || got[0] != "bad: 1.20 ×, want ≤ 1.1" {
		t.Errorf("%q", got)
	}
	want := `
| case | median | rounds | target | met |
|---|---|---|---|---|
| good | 2.60 × | 2.40 – 3 | ≥ 2.5 | yes |
| bad | 1.20 × | 1 – 1.30 | ≤ 1.1 | **no** |
| slow | 661,728 msg/s | 123,456 – 1,200,000 |  | – |
`
	if got := markdown(all); got != want {
		t.Errorf("%s\nwant%s", got, want)
	}
	file := filepath.Join(t.TempDir(), "results.json")
	if err := save(file, all); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var read []map[string]any
	if err := json.Unmarshal(text, &read); err != nil || len(read) != 3 {
		t.Fatalf("%s: %v", text, err)
	}
	for _, key := range []string{"case", "value", "target", "gate", "met", "why", "unit", "rounds"} {
		if _, has := read[0][key]; !has {
			t.Errorf("no %q in %v", key, read[0])
		}
	}
}

// A plot is XML, and has a point for each value.
func TestPlot(t *testing.T) {
	dir := t.TempDir()
	p := plot{file: "p.svg", title: "a < b", x: "things", series: []series{
		{"one", []point{{1, 1000}, {10, 90000}, {100, 8}}},
		{"two", []point{{1, 10}, {10, 10}, {100, 10}}},
	}}
	if err := p.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "p.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(text))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(string(text), "<circle"); got != 6 {
		t.Errorf("%d points", got)
	}
	if strings.Contains(string(text), "NaN") || strings.Contains(string(text), "Inf") {
		t.Errorf("%s", text)
	}
}
