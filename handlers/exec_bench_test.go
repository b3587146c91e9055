//go:build unix

package handlers_test

import (
	"fmt"
	"os/exec"
	"sync"
	"testing"

	"signalbox/handlers"
	"signalbox/router"
)

// What a hop to a program and back costs, by how many events are in hand at a time (the
// workers of a route) and how many programs run.
func BenchmarkExecLines(b *testing.B) {
	for _, inHand := range []int{1, 16, 128} {
		for _, processes := range []int{1, 2} {
			if processes > inHand {
				continue
			}
			b.Run(fmt.Sprintf("in_hand=%d/processes=%d", inHand, processes), func(b *testing.B) {
				options := testProgram(b, "fast")
				options.Processes = processes
				benchmarkExec(b, options, inHand)
			})
		}
	}
}

// The same with a program in Python that reads, decodes and answers.
func BenchmarkExecPython(b *testing.B) {
	python, err := exec.LookPath("python3")
	if err != nil {
		b.Skip("no python3")
	}
	const script = `import json, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "ok": True}))`
	for _, inHand := range []int{1, 16} {
		b.Run(fmt.Sprintf("in_hand=%d", inHand), func(b *testing.B) {
			benchmarkExec(b, handlers.ExecOptions{Command: []string{python, "-c", script}, Mode: "lines", Processes: 1}, inHand)
		})
	}
}

// What a process for each event costs, with the smallest program there is.
func BenchmarkExecOnce(b *testing.B) {
	benchmarkExec(b, handlers.ExecOptions{Command: []string{"true"}, Mode: "once", Processes: 1}, 1)
}

func benchmarkExec(b *testing.B, options handlers.ExecOptions, inHand int) {
	h := newExec(b, options)
	tick := func(id, key string) *router.Event {
		e := execEvent(id, "tick")
		e.Key = key
		e.Data = []byte(`{"symbol":"BTCUSDT","bid":97429.71,"ask":97429.72,"bid_size":1.25,"ask_size":0.5,"exchange":"binance","venue":"spot"}`)
		return e
	}
	if err := h.Handle(b.Context(), tick("first", "")); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var lanes sync.WaitGroup
	for lane := range inHand {
		lanes.Go(func() {
			e := tick(fmt.Sprint("lane-", lane), fmt.Sprint(lane))
			for range (b.N + inHand - 1) / inHand {
				if err := h.Handle(b.Context(), e); err != nil {
					b.Error(err)
				}
			}
		})
	}
	lanes.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
