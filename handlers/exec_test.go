//go:build unix

package handlers_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/router"
)

func TestExecLinesHandlesEachEventOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	h := newExec(t, testProgram(t, "note", file))
	const n = 500
	for i := range n {
		if err := h.Handle(t.Context(), execEvent(fmt.Sprint(i), "x")); err != nil {
			t.Fatal(err)
		}
	}
	got := notes(t, file)
	if len(got) != n {
		t.Fatalf("%d events, want %d", len(got), n)
	}
	var pid int
	for i, line := range got {
		var at, id int
		if _, err := fmt.Sscanf(line, "%d  %d", &at, &id); err != nil || id != i || i > 0 && at != pid {
			t.Fatalf("line %d is %q (%v), of process %d", i, line, err, pid)
		}
		pid = at
	}
	h.close()
	if started := h.log.of("program started"); len(started) != 1 {
		t.Errorf("started %d times", len(started))
	}
	gone(t, -pid)
}

func TestExecVerdicts(t *testing.T) {
	t.Parallel()
	h := newExec(t, testProgram(t, "answer"))
	const failed, permanent, unavailable = "failed", "permanent", "unavailable"
	for _, test := range []struct{ line, kind, want string }{
		{`{"ok":true}`, "", ""},
		{`{"id":"e","ok":true}`, "", ""},
		{`{"id":"e","ok":true,"took":3}`, "", ""},
		{`{"id":"e","ok":true,"error":null}`, "", ""},
		{`{"id":"e","ok":true,"error":"","permanent":false}`, "", ""},
		{`{"id":null,"ok":true}`, "", ""},
		{`{"error":"no money"}`, failed, "no money"},
		{`{"ok":false}`, failed, "the program says that it failed, and not why"},
		{`{"ok":false,"error":"no\nmoney \u001b[31m"}`, failed, `no\u000amoney \u001b[31m`},
		{`{"error":"` + strings.Repeat("x", 600) + `"}`, failed, strings.Repeat("x", 512) + "…"},
		{`{"id":"e","error":"unknown symbol","permanent":true}`, permanent, "unknown symbol"},
		{`{"id":"e","ok":false,"permanent":true}`, permanent, "the program says that it failed, and not why"},
		{`{"error":"closed","unavailable":true}`, unavailable, "closed"},
		{`{"ok":"yes"}`, failed, "the program's verdict is not understood: ok is not true or false"},
		{`{"id":"e","error":{"code":1}}`, failed, "the program's verdict is not understood: error is not a text"},
		{`{"ok":true,"error":"x"}`, failed, "the program's verdict is not understood: it has ok and an error"},
		{`{"error":""}`, failed, "the program's verdict is not understood: it has neither ok nor an error"},
		{`{"error":"x","permanent":1}`, failed, "the program's verdict is not understood: permanent is not true or false"},
		{`{"error":"x","permanent":true,"unavailable":true}`, failed, "the program's verdict is not understood: it is both permanent and unavailable"},
	} {
		data, _ := json.Marshal(test.line)
		err := h.handle(t, long, withData("e", string(data)))
		kind := ""
		_, away := router.IsUnavailable(err)
		switch {
		case router.IsPermanent(err):
			kind = permanent
		case away:
			kind = unavailable
		case err != nil:
			kind = failed
		}
		if kind != test.kind || err != nil && err.Error() != test.want {
			t.Errorf("%s: got %s: %v\nwant %s: %s", test.line, kind, err, test.kind, test.want)
		}
	}
	if out := h.log.of("program output"); out != nil {
		t.Errorf("verdicts are logged as output: %v", out)
	}
}

// Whatever is no verdict is output, is logged, and answers nothing.
func TestExecOtherLinesAreOutput(t *testing.T) {
	t.Parallel()
	others := []string{
		"hello", "{", `{"level":"error","error":"x"}`, `{"msg":"health","ok":true}`, `{"event":"tick"}`, `[{"ok":true}]`, `"ok"`, "true",
		`{"ok":true} x`, "\x1b[31mred\x07", strings.Repeat("y", 70_000), `{"ok":true,"error":"` + strings.Repeat("z", 70_000) + `"}`,
	}
	strangers := []string{`{"id":"other","ok":true}`, `{"id":17,"error":"late"}`}
	h := newExec(t, testProgram(t, "answer"))
	for _, line := range append(others, strangers...) {
		data, _ := json.Marshal(line + "\n" + `{"id":"e","error":"this one"}`)
		if err := h.handle(t, long, withData("e", string(data))); err == nil || err.Error() != "this one" {
			t.Errorf("%.80s was taken for a verdict: %v", line, err)
		}
	}
	h.close()
	var got []string
	for _, line := range h.log.of("program output") {
		if text := line["line"].(string); len(text) > 520 || strings.ContainsAny(text, "\x1b\x07") {
			t.Errorf("logged %q", text)
		}
		got = append(got, line["line"].(string))
	}
	if len(got) != len(others) || got[0] != "hello" || got[9] != `\u001b[31mred\u0007` {
		t.Errorf("%d lines of output are logged, want %d: %.60q", len(got), len(others), got)
	}
	if warned := h.log.of("a verdict on no event in hand"); len(warned) != len(strangers) {
		t.Errorf("%d verdicts on no event, want %d", len(warned), len(strangers))
	}
}

// Several in hand at a time: each verdict goes to the event that it names, and two events
// of one id are not in hand together.
func TestExecManyInHand(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	h := newExec(t, testProgram(t, "die", file)) // answers a while later, all that it has
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if err := h.handle(t, long, execEvent(fmt.Sprint(i/2), "x")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	h.close()
	did, together := 0, 0
	for _, line := range notes(t, file) {
		switch {
		case strings.Contains(line, "twice"):
			t.Error(line)
		case strings.HasPrefix(line, "did"):
			did++
		case strings.HasPrefix(line, "together"):
			together++
		}
	}
	if did != 200 || together == 0 {
		t.Errorf("the program did %d events, want 200, and had several in hand %d times", did, together)
	}
	if strange := h.log.of("a verdict on no event in hand"); strange != nil {
		t.Error(strange)
	}
}

// Without an id it is the oldest event in hand, and of two of one id only one is.
func TestExecAnswersTheOldest(t *testing.T) {
	t.Parallel()
	script := `read a; echo got; read b; echo got; echo '{"error":"first"}'; read c; echo '{"error":"second"}'; echo '{"error":"third"}'; read d`
	h := newExec(t, handlers.ExecOptions{Command: []string{"sh", "-c", script}, Mode: "lines", Processes: 1})
	verdicts := make([]chan error, 3)
	ids := []string{"a", "b", "a"}
	for i, id := range ids {
		verdicts[i] = make(chan error, 1)
		go func() { verdicts[i] <- h.handle(t, long, execEvent(id, "x")) }()
		if i < 2 {
			h.log.await(t, "program output", i+1)
		}
	}
	for i, want := range []string{"first", "second", "third"} {
		if err := <-verdicts[i]; err == nil || err.Error() != want {
			t.Errorf("event %d: got %v, want %s", i, err, want)
		}
	}
}

func TestExecKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	options := testProgram(t, "note", file)
	options.Processes = 3
	h := newExec(t, options)
	const keys, n = 12, 40
	var all sync.WaitGroup
	for key := range keys {
		all.Go(func() { // as the lane of a route
			for i := range n {
				e := execEvent(fmt.Sprint(i), "x")
				e.Key = fmt.Sprint("k", key)
				if err := h.handle(t, long, e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	pids, next := map[string]int{}, map[string]int{}
	for _, line := range notes(t, file) {
		var pid, id int
		var key string
		if _, err := fmt.Sscanf(line, "%d %s %d", &pid, &key, &id); err != nil {
			t.Fatal(err)
		}
		if before, ok := pids[key]; id != next[key] || ok && before != pid {
			t.Fatalf("key %s: event %d by %d, want %d by %d", key, id, pid, next[key], before)
		}
		pids[key] = pid
		next[key]++
	}
	total, used := 0, map[int]bool{}
	for key, pid := range pids {
		total += next[key]
		used[pid] = true
	}
	if total != keys*n || len(used) != 3 {
		t.Errorf("%d events by %d processes, want %d by 3", total, len(used), keys*n)
	}
}

// Events without a key go to whom has the least to do, and so to all.
func TestExecWithoutKeyUsesAllProcesses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	options := testProgram(t, "note", file)
	options.Processes = 2
	h := newExec(t, options)
	used := func() map[string]bool {
		pids := map[string]bool{}
		for _, line := range notes(t, file) {
			pid, _, _ := strings.Cut(line, " ")
			pids[pid] = true
		}
		return pids
	}
	var n sync.WaitGroup
	for begin := time.Now(); len(used()) < 2 && time.Since(begin) < long; n.Wait() {
		for i := range 20 {
			n.Go(func() {
				if err := h.handle(t, long, execEvent(fmt.Sprint(i), "x")); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if len(used()) != 2 {
		t.Errorf("%d processes have had events, want 2", len(used()))
	}
}
