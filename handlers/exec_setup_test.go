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
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	timer := time.AfterFunc(timeout, func() { cancel(context.DeadlineExceeded) }) // as a route does: the context tells no deadline
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
type execLog struct{ handlers.LockedBuffer }

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
