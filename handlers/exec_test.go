//go:build unix

package handlers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/router"
)

// canaryKey is a secret that nobody may be told.
const canaryKey = "canary-1b9d6bcd-bbfd"

// urlCanary is another one, the password in a URL.
const urlCanary = "canary-4f8a"

// long is how long a test waits for what should come at once.
const long = 20 * time.Second

// testProgram is a program that the test binary plays.
func testProgram(tb testing.TB, name string, args ...string) handlers.ExecOptions {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return handlers.ExecOptions{
		Command: append([]string{self, name}, args...), Mode: "lines", Processes: 1,
		Env: map[string]string{playsProgram: "1", "GORACE": "atexit_sleep_ms=0"},
	}
}

func onceProgram(tb testing.TB, name string, args ...string) handlers.ExecOptions {
	options := testProgram(tb, name, args...)
	options.Mode = "once"
	return options
}

func execEvent(id, kind string) *router.Event {
	return &router.Event{ID: id, Type: kind, Channel: "in", Name: "in", Data: json.RawMessage(`{}`)}
}

func withData(id, data string) *router.Event {
	e := execEvent(id, "x")
	e.Data = json.RawMessage(data)
	return e
}

// execHandler is a handler under test, and its log.
type execHandler struct {
	router.Handler
	log   *execLog
	close func()
}

// newExec makes a handler that is closed, without an error, at the latest when the test ends.
func newExec(tb testing.TB, options handlers.ExecOptions) *execHandler {
	tb.Helper()
	log := &execLog{}
	h, err := handlers.Exec().New(router.Env{Log: slog.New(slog.NewJSONHandler(log, nil))}, options)
	if err != nil {
		tb.Fatal(err)
	}
	closing := sync.OnceFunc(func() {
		if err := h.(io.Closer).Close(); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() {
		closing()
		if tb.Failed() {
			tb.Logf("the log:\n%s", log.String())
		}
	})
	return &execHandler{h, log, closing}
}

// handle hands an event over, for at most so long.
func (h *execHandler) handle(t *testing.T, timeout time.Duration, e *router.Event) error {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	timer := time.AfterFunc(timeout, cancel) // as a route does: the context tells no deadline
	defer timer.Stop()
	return h.Handle(ctx, e)
}

// insist hands an event over until its verdict isn't that the target is away.
func (h *execHandler) insist(t *testing.T, e *router.Event) error {
	var err error
	for begin := time.Now(); time.Since(begin) < long; {
		err = h.handle(t, long, e)
		after, away := router.IsUnavailable(err)
		if !away {
			return err
		}
		time.Sleep(max(after, time.Millisecond))
	}
	t.Fatalf("%v after %v", err, long)
	return nil
}

// execLog is a log, in JSON.
type execLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *execLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *execLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// of are the lines with a message.
func (l *execLog) of(message string) (found []map[string]any) {
	for line := range strings.Lines(l.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == message {
			found = append(found, fields)
		}
	}
	return found
}

// await waits until there are so many.
func (l *execLog) await(t *testing.T, message string, n int) {
	t.Helper()
	for begin := time.Now(); len(l.of(message)) < n; time.Sleep(2 * time.Millisecond) {
		if time.Since(begin) > long {
			t.Fatalf("the log has fewer than %d of %q", n, message)
		}
	}
}

// line decodes what the first line with a message says of the program's output.
func (l *execLog) line(t *testing.T, message string, into any) {
	t.Helper()
	all := l.of(message)
	if len(all) == 0 {
		t.Fatalf("the log lacks %q:\n%s", message, l)
	}
	if err := json.Unmarshal([]byte(fmt.Sprint(all[0]["line"])), into); err != nil {
		t.Fatal(err)
	}
}

// notes are the lines of a file that programs write.
func notes(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(text)))
}

// awaitNote waits until the file has so many lines.
func awaitNote(t *testing.T, file string, n int) []string {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < long; time.Sleep(2 * time.Millisecond) {
		if all := notes(t, file); len(all) >= n && strings.HasSuffix(all[n-1], "\n") {
			return all
		}
	}
	t.Fatalf("%s has fewer than %d lines", file, n)
	return nil
}

// gone waits until a process is no more. One that nobody has reaped yet is.
func gone(t *testing.T, pid int) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < long; time.Sleep(2 * time.Millisecond) {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) || isZombie(max(pid, -pid)) {
			return
		}
	}
	t.Errorf("process %d is left behind", pid)
	kill(pid)
}

func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && strings.HasPrefix(state, "Z")
}

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
