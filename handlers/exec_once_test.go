//go:build unix

package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/router"
)

func TestExecOnceExitCodes(t *testing.T) {
	t.Parallel()
	h := newExec(t, onceProgram(t, "exit"))
	for code, kind := range map[int]string{0: "", 1: "failed", 2: "failed", 64: "failed", 65: "permanent", 75: "unavailable", 255: "failed"} {
		err := h.handle(t, long, withData("a", fmt.Sprint(code)))
		got := ""
		_, away := router.IsUnavailable(err)
		switch {
		case router.IsPermanent(err):
			got = "permanent"
		case away:
			got = "unavailable"
		case err != nil:
			got = "failed"
		}
		if got != kind {
			t.Errorf("exit code %d: got %s (%v), want %s", code, got, err, kind)
		}
		if err == nil {
			continue
		}
		want := fmt.Sprintf(`: exit status %d; stderr ends with "first | second | \u001b[31mends with %[1]d xxx`, code)
		if text := err.Error(); !strings.Contains(text, want) || len(text) > 800 || strings.ContainsAny(text, "\n\x1b") {
			t.Errorf("exit code %d: %q lacks %s", code, text, want)
		}
	}
	killed := newExec(t, handlers.ExecOptions{Command: []string{"sh", "-c", "kill -9 $$"}, Mode: "once", Processes: 1})
	err := killed.handle(t, long, execEvent("a", "x"))
	if _, away := router.IsUnavailable(err); err == nil || away || router.IsPermanent(err) || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("killed: %v", err)
	}
}

// A program need not read its event, even one that no pipe holds.
func TestExecOnceReadsNothing(t *testing.T) {
	t.Parallel()
	h := newExec(t, onceProgram(t, "deaf"))
	if err := h.handle(t, long, withData("a", `"`+strings.Repeat("x", 1<<20)+`"`)); err != nil {
		t.Error(err)
	}
}

// What a process leaves behind keeps its stdout open. That holds nothing up, and it is gone
// if it stayed in the group.
func TestExecOnceLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"group", "session"} {
		file := filepath.Join(t.TempDir(), "notes")
		h := newExec(t, onceProgram(t, "leave", where, file))
		begin := time.Now()
		if err := h.handle(t, long, execEvent("a", "x")); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s: took %v", where, took)
		}
		var pid, child int
		if _, err := fmt.Sscanf(notes(t, file)[0], "%d %d", &pid, &child); err != nil {
			t.Fatal(err)
		}
		gone(t, -pid)
		if where == "session" {
			kill(child) // it has left on purpose
		}
		gone(t, child)
	}
}

func TestExecOnceTimeout(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	h := newExec(t, onceProgram(t, "hang", file))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { done <- h.Handle(ctx, execEvent("a", "x")) }()
	var pid, child int
	if _, err := fmt.Sscanf(awaitNote(t, file, 1)[0], "%d %d", &pid, &child); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "was stopped") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > 900*time.Millisecond {
		t.Errorf("returned %v after its time; after 1 s its route gives it up", took)
	}
	gone(t, -pid)
	gone(t, child)
}

// The process of an event has its trace context in its variables, and each line that it
// writes tells of which event, and which trace, it is.
func TestExecOnceTrace(t *testing.T) {
	t.Parallel()
	const show = `echo "$TRACEPARENT|$TRACESTATE"; echo oops >&2`
	for name, test := range map[string]struct {
		env   map[string]string
		event router.Event
		want  string
	}{
		"both":       {nil, router.Event{TraceParent: traceParent, TraceState: traceState}, traceParent + "|" + traceState},
		"one":        {nil, router.Event{TraceParent: traceParent}, traceParent + "|"},
		"none":       {nil, router.Event{}, "|"},
		"no one":     {nil, router.Event{TraceParent: "x", TraceState: traceState}, "|"},
		"of its own": {map[string]string{"TRACEPARENT": "mine"}, router.Event{TraceParent: traceParent, TraceState: traceState}, "mine|"},
	} {
		h := newExec(t, handlers.ExecOptions{Command: []string{"sh", "-c", show}, Mode: "once", Processes: 1, Env: test.env})
		for _, event := range []router.Event{test.event, {}} { // nothing stays of one process for the next
			event.ID, event.Type = "e-1", "a"
			if err := h.handle(t, long, &event); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		h.close()
		said := 0
		for _, line := range h.log.of("program output") {
			_, traced := line["trace_id"]
			if line["id"] != "e-1" || traced && line["trace_id"] != traceID {
				t.Errorf("%s: %v", name, line)
			}
			if line["line"] == test.want && traced == (test.event.TraceID() != "") {
				said++
			}
		}
		if said == 0 {
			t.Errorf("%s: no line is %q: %v", name, test.want, h.log.of("program output"))
		}
	}
}

// A gigabyte of output is read, a hundred lines a second of it are logged, and the verdict counts.
func TestExecOnceHugeOutput(t *testing.T) {
	t.Parallel()
	const size = 1 << 30
	h := newExec(t, onceProgram(t, "huge", fmt.Sprint(size)))
	if err := h.handle(t, time.Minute, execEvent("a", "x")); err != nil {
		t.Error(err)
	}
	h.close()
	logged, left := h.log.of("program output"), 0
	for _, line := range h.log.of("the program says more than is logged") {
		left += int(line["lines_left_out"].(float64))
	}
	if len(logged)+left != size/(64<<10) || len(logged) == 0 {
		t.Errorf("%d lines are logged and %d left out, of %d", len(logged), left, size/(64<<10))
	}
	for _, line := range logged {
		if len(line["line"].(string)) > 520 {
			t.Fatalf("a line of %d bytes is logged", len(line["line"].(string)))
		}
	}
}
