//go:build unix

package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routertest"
)

// A program that hangs is ended, with all that it has started. What it says late is
// nobody's verdict, and what else it had in hand is only put off.
func TestExecProgramHangs(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	h := newExec(t, testProgram(t, "stuck", file))
	if err := h.handle(t, long, execEvent("a", "x")); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	const n = 20
	stuck := make(chan error)
	go func() { stuck <- h.handle(t, 300*time.Millisecond, execEvent("b", "stuck")) }()
	for i := range n {
		others.Go(func() {
			if err := h.insist(t, execEvent(fmt.Sprint("c", i), "x")); err != nil {
				t.Errorf("an event beside it: %v", err)
			}
		})
	}
	err := <-stuck
	if err == nil || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "was its output flushed?") {
		t.Errorf("the event that it hangs with: %v", err)
	}
	others.Wait()
	for _, line := range awaitNote(t, file, 2)[:1] {
		var pid int
		if _, err := fmt.Sscanf(line, "started %d", &pid); err != nil {
			t.Fatal(err)
		}
		gone(t, -pid)
	}
	// A second time: the late answers come while the next event waits for the new program.
	if err := h.handle(t, 100*time.Millisecond, execEvent("d", "stuck")); err == nil {
		t.Error("the late answer counts")
	}
	for i := range 5 {
		if err := h.handle(t, 100*time.Millisecond, execEvent(fmt.Sprint("e", i), "stuck")); err == nil {
			t.Errorf("event e%d is done, by a late answer to another", i)
		}
	}
}

// A program that ignores SIGTERM and has descendants that do is gone within the grace.
func TestExecStubbornProgram(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	h := newExec(t, testProgram(t, "stubborn", file, "ends"))
	if err := h.handle(t, long, execEvent("a", "x")); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := h.handle(t, 50*time.Millisecond, execEvent("b", "stuck")); err == nil {
		t.Error("done without an answer")
	}
	if took := time.Since(begin); took > 900*time.Millisecond {
		t.Errorf("the handler returned %v after its time; after 1 s its route gives it up", took)
	}
	var pid, child int
	if _, err := fmt.Sscanf(notes(t, file)[0], "%d %d", &pid, &child); err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
	gone(t, child)
	gone(t, -pid)
	if err := h.insist(t, execEvent("c", "x")); err != nil {
		t.Error(err)
	}
	if got := len(notes(t, file)); got != 2 {
		t.Errorf("%d programs were started, want 2", got)
	}
}

// Closing a handler whose program ignores the end of its stdin, and SIGTERM, takes a
// moment, says so, and leaves nothing behind.
func TestExecCloseKills(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	options := testProgram(t, "stubborn", file)
	h, err := handlers.Exec().New(router.Env{Log: slog.New(slog.DiscardHandler)}, options)
	if err != nil {
		t.Fatal(err)
	}
	var pid, child int
	if _, err := fmt.Sscanf(awaitNote(t, file, 1)[0], "%d %d", &pid, &child); err != nil {
		t.Fatal(err)
	}
	err = h.(io.Closer).Close()
	if err == nil || !strings.Contains(err.Error(), "did not end within 5s after its stdin was closed, and was killed") {
		t.Errorf("got %v", err)
	}
	gone(t, -pid)
	gone(t, child)
	if _, away := router.IsUnavailable(h.Handle(t.Context(), execEvent("late", "x"))); !away {
		t.Error("a closed handler takes events")
	}
}

func TestExecCloseBeforeAnything(t *testing.T) {
	t.Parallel()
	for range 20 {
		newExec(t, testProgram(t, "echo")).close()
	}
}

// A poison event kills its program each time. It fails after its attempts; every other
// event is done, whatever it was in hand with.
func TestExecPoison(t *testing.T) {
	t.Parallel()
	const channels, n, attempts = 6, 4, 2
	file := filepath.Join(t.TempDir(), "notes")
	spec := spec(handlers.Exec(), testProgram(t, "die", file))
	cfg := router.Config{Handlers: []router.HandlerSpec{spec}}
	for i := range channels {
		name := fmt.Sprint("in", i)
		cfg.Channels = append(cfg.Channels, router.Channel{Name: name})
		cfg.Routes = append(cfg.Routes, router.Route{
			Channel: name, Types: []string{"*"}, Handler: spec.Name,
			Policy: router.Policy{Retry: router.Retry{Attempts: attempts, Backoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond}},
		})
	}
	box := routertest.Start(t, cfg)
	var all sync.WaitGroup
	for i := range channels {
		all.Go(func() {
			for j := range n {
				kind := "x"
				if i == 0 && j == 1 {
					kind = "poison"
				}
				box.Send(fmt.Sprint("in", i), fmt.Sprintf(`{"id":"%d-%d","type":%q}`, i, j, kind))
			}
		})
	}
	all.Wait()
	count := map[router.Result]int{}
	for _, o := range box.Outcomes() {
		count[o.Result]++
		if o.Result == router.Failed && (o.Event.Type != "poison" || o.Attempt != attempts ||
			!strings.Contains(o.Err.Error(), `ended by itself: exit status 3; stderr ends with "poison: 0-1"`)) {
			t.Errorf("%s failed after %d attempts: %v", o.Event.ID, o.Attempt, o.Err)
		}
	}
	if count[router.Handled] != channels*n-1 || count[router.Failed] != 1 {
		t.Errorf("outcomes %v, want %d handled and 1 failed", count, channels*n-1)
	}
	deaths := 0
	for _, line := range notes(t, file) {
		if strings.HasPrefix(line, "died") {
			deaths++
		}
	}
	if deaths < attempts || deaths > attempts+1 {
		t.Errorf("the program died %d times for %d attempts", deaths, attempts)
	}
}

// A program that is broken dies before it has read anything: no event fails for that,
// and it isn't started over and over. Once it is mended, all goes on.
func TestExecBrokenProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, mended := filepath.Join(dir, "notes"), filepath.Join(dir, "mended")
	h := newExec(t, testProgram(t, "broken", file, mended))
	begin := time.Now()
	tries := 0
	for time.Since(begin) < 800*time.Millisecond {
		err := h.handle(t, long, execEvent("a", "x"))
		after, away := router.IsUnavailable(err)
		if !away || !strings.Contains(err.Error(), "program") {
			t.Fatalf("got %v", err)
		}
		tries++
		time.Sleep(min(after, 20*time.Millisecond))
	}
	starts := len(notes(t, file))
	if starts < 2 || starts > 6 {
		t.Errorf("started %d times in 0.8 s", starts)
	}
	logged := h.log.of("the program does not run; it is started again")
	if len(logged) < starts-1 || len(logged) > starts || tries <= starts {
		t.Errorf("%d lines in the log, %d starts, %d attempts", len(logged), starts, tries)
	}
	if err := fmt.Sprint(logged[0]["err"]); !strings.Contains(err, "exit status 1; stderr ends with \"Traceback (most recent call last): | File") ||
		!strings.HasSuffix(err, `ModuleNotFoundError: No module named 'redis'"`) {
		t.Errorf("the log says %s", err)
	}
	if err := os.WriteFile(mended, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.insist(t, execEvent("a", "x")); err != nil {
		t.Errorf("after it was mended: %v", err)
	}
}

// As documented: 0.1 s, doubled up to 30 s, half as long to half as long again by chance.
func TestExecPauses(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{0: 100, 1: 200, 3: 800, 8: 25_600, 9: 30_000, 1000: 30_000} {
		want *= time.Millisecond
		seen := map[time.Duration]bool{}
		for range 50 {
			pause := handlers.PauseAfter(failures)
			if seen[pause] = true; pause < want/2 || pause > want/2+want {
				t.Errorf("after %d failures: %v, want about %v", failures, pause, want)
			}
		}
		if len(seen) < 10 {
			t.Errorf("after %d failures: only %d different pauses", failures, len(seen))
		}
	}
}

// A program that is not there any more cannot be started: the target is away.
func TestExecCannotBeStarted(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"lines", "once"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "bot")
		if err := os.WriteFile(path, []byte("#!/bin/sh\nread a; echo '{\"ok\":true}'\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		h := newExec(t, handlers.ExecOptions{Command: []string{path}, Mode: mode, Processes: 1})
		if err := h.insist(t, execEvent("a", "x")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		for begin := time.Now(); ; time.Sleep(time.Millisecond) {
			err := h.handle(t, long, execEvent("b", "x"))
			if _, away := router.IsUnavailable(err); !away || time.Since(begin) > long {
				t.Fatalf("%s: got %v", mode, err)
			}
			if strings.Contains(err.Error(), "no such file or directory") {
				break
			}
		}
	}
}

func TestExecProgramClosesItsStdin(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	h := newExec(t, testProgram(t, "shut", file))
	for i := range 2 {
		if err := h.insist(t, execEvent(fmt.Sprint(i), "x")); err != nil {
			t.Error(err)
		}
	}
	if starts := len(notes(t, file)); starts != 2 {
		t.Errorf("started %d times, want 2", starts)
	}
}

// 100 MB without a line break are read and left, not kept.
func TestExecEndlessLine(t *testing.T) {
	t.Parallel()
	h := newExec(t, testProgram(t, "flood", "100000000"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := h.handle(t, long, execEvent("a", "x")); err != nil {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.Sys) - int64(before.Sys); grown > 64<<20 {
		t.Errorf("the process has grown by %d MB", grown>>20)
	}
	h.close()
	if out := h.log.of("program output"); len(out) != 1 {
		t.Errorf("%d lines are logged, want 1", len(out))
	}
}

// Of 100,000 lines at once, a hundred a second are logged, and the others counted.
func TestExecMuchOutput(t *testing.T) {
	t.Parallel()
	const n = 100_000
	h := newExec(t, testProgram(t, "talk", fmt.Sprint(n)))
	begin := time.Now()
	if err := h.handle(t, long, execEvent("a", "x")); err != nil {
		t.Error(err)
	}
	h.close()
	took := time.Since(begin)
	logged, left := len(h.log.of("program output")), 0
	for _, line := range h.log.of("the program says more than is logged") {
		left += int(line["lines_left_out"].(float64))
	}
	if logged+left != n || logged > 100*(2+int(took/time.Second)) {
		t.Errorf("%d lines are logged and %d are said to be left out, of %d in %v", logged, left, n, took)
	}
}

// A program that tells its secrets tells them nobody through us.
func TestExecCanary(t *testing.T) {
	t.Parallel()
	options := testProgram(t, "canary")
	options.Env["API_KEY"] = canaryKey
	options.Env["LONGER"] = canaryKey + "-and-more"
	options.Env["REDIS_URL"] = "redis://bot:" + urlCanary + "@localhost/0"
	h := newExec(t, options)
	refused := h.handle(t, long, execEvent("a", "x"))
	died := h.handle(t, long, execEvent("b", "die"))
	h.log.await(t, "the program does not run; it is started again", 1)
	h.close()
	options.Mode = "once"
	o := newExec(t, options)
	died2 := o.handle(t, long, execEvent("b", "die"))
	o.close()

	if refused == nil || refused.Error() != "wrong key ${API_KEY}" {
		t.Errorf("got %v", refused)
	}
	for _, died := range []error{died, died2} {
		if died == nil || !strings.Contains(died.Error(), "stderr ends with") {
			t.Errorf("got %v", died)
		}
	}
	for where, text := range map[string]string{
		"a verdict": refused.Error(), "an error": died.Error(), "an error of once": died2.Error(), "the log": h.log.String(), "the log of once": o.log.String(),
	} {
		if strings.Contains(text, "canary") {
			t.Errorf("%s tells it: %s", where, text)
		}
	}
	if n := strings.Count(h.log.String()+o.log.String(), "says ${API_KEY}, ${REDIS_URL} and ${REDIS_URL}"); n < 4 {
		t.Errorf("what the program said is not logged: %d", n)
	}
}

// A program that takes one event after the other is stuck with the oldest: what was handed
// over in the same moment and waits behind it has not failed, whichever attempt ends first.
func TestExecStuckWithTheOldest(t *testing.T) {
	t.Parallel()
	h := newExec(t, handlers.ExecOptions{Command: []string{"sh", "-c", "read a; echo got; sleep 1000"}, Mode: "lines", Processes: 1})
	oldest := make(chan error)
	go func() { oldest <- h.handle(t, 1600*time.Millisecond, execEvent("a", "x")) }()
	h.log.await(t, "program output", 1)
	err := h.handle(t, 1500*time.Millisecond, execEvent("b", "x"))
	if _, away := router.IsUnavailable(err); !away {
		t.Errorf("the event behind it: %v", err)
	}
	err = <-oldest
	if _, away := router.IsUnavailable(err); err == nil || away {
		t.Errorf("the oldest: %v", err)
	}
}

// An id that no verdict could name must not get as far as the program, which would be
// started anew for giving none.
func TestExecIDTooLong(t *testing.T) {
	t.Parallel()
	script := `while read -r line; do id=${line#*:}; id=${id%%,*}; echo "{\"id\":$id,\"ok\":true}"; done`
	h := newExec(t, handlers.ExecOptions{Command: []string{"sh", "-c", script}, Mode: "lines", Processes: 1})
	if err := h.handle(t, long, execEvent(strings.Repeat("\x01", 8<<10), "x")); err != nil {
		t.Errorf("the longest id: %v", err)
	}
	if err := h.handle(t, time.Second, execEvent(strings.Repeat("i", 8<<10+1), "x")); !router.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
}

// An event whose turn hasn't come when its time is over is as good as before.
func TestExecNoTimeForAnEvent(t *testing.T) {
	t.Parallel()
	script := `read a; echo got; read b; echo '{"ok":true}'`
	h := newExec(t, handlers.ExecOptions{Command: []string{"sh", "-c", script}, Mode: "lines", Processes: 1})
	first := make(chan error)
	go func() { first <- h.handle(t, long, execEvent("a", "x")) }()
	h.log.await(t, "program output", 1)
	err := h.handle(t, 20*time.Millisecond, execEvent("a", "x")) // the same id: it has to wait for the first
	if _, away := router.IsUnavailable(err); !away || !strings.Contains(err.Error(), "had no time for the event yet") {
		t.Errorf("got %v", err)
	}
	second := make(chan struct{})
	go func() {
		defer close(second)
		_ = h.handle(t, long, execEvent("b", "x")) // it is what the program ends with, or after
	}()
	if err := <-first; err != nil { // the program was not disturbed
		t.Error(err)
	}
	h.close()
	t.Log(<-second) // the program has ended with it, or before it
}

// The context that ended with the router is told as such, not as the program's fault.
func TestExecShutdown(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]handlers.ExecOptions{
		"lines": testProgram(t, "stuck", filepath.Join(t.TempDir(), "notes")),
		"once":  onceProgram(t, "hang", filepath.Join(t.TempDir(), "notes")),
	} {
		h := newExec(t, options)
		stop, cancelSoon := context.WithCancel(t.Context())
		timer := time.AfterFunc(200*time.Millisecond, cancelSoon)
		err := h.Handle(stop, execEvent("a", "stuck"))
		timer.Stop()
		cancelSoon()
		if _, away := router.IsUnavailable(err); !errors.Is(err, context.Canceled) || away || router.IsPermanent(err) {
			t.Errorf("%s: got %v", name, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Handle(ended, execEvent("b", "x")); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: after the end: %v", name, err)
		}
	}
}
