package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"signalbox/router"
)

// Exit codes that are verdicts, as sysexits.h has them.
const (
	exitPermanent   = 65 // EX_DATAERR
	exitUnavailable = 75 // EX_TEMPFAIL
)

// execOnce is the handler of mode once: a process for each event.
type execOnce struct{ program *execProgram }

// Handle runs the program with an event as its stdin. Its exit code is the verdict.
func (o *execOnce) Handle(ctx context.Context, event *router.Event) error {
	line, err := execLine(event, o.program.withMsg)
	if err != nil {
		return router.Permanent(err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// The kernel ends the program with the thread that started it (dieWithRouter).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	running, err := o.program.start(o.trace(event)...)
	if err != nil {
		return router.Unavailable(err, 0)
	}
	var stderr execTail
	about := eventAttrs(event)
	running.read(running.stdout, maxOutputLine, func(line []byte, _ bool) {
		o.program.output.say(slog.LevelInfo, "program output", "stdout", line, about...)
	})
	running.read(running.stderr, maxOutputLine, func(line []byte, _ bool) {
		stderr.add(line)
		o.program.output.say(slog.LevelInfo, "program output", "stderr", line, about...)
	})
	var writing sync.WaitGroup
	writing.Go(func() {
		_, _ = running.stdin.Write(line) // a program need not read it
		_ = running.stdin.Close()
	})
	forget := context.AfterFunc(ctx, running.terminate)
	err = running.wait()
	inTime := forget()
	_ = running.stdin.SetWriteDeadline(time.Now())
	writing.Wait()
	if !inTime { // whatever code it ended with, it was asked to
		return &cutShort{fmt.Sprintf("program %q was stopped%s", o.program.name(), stderr.about(o.program.secrets)), ctx.Err()}
	}
	return o.verdict(err, &stderr)
}

// trace is the trace context of an event in the variables where programs look for it, unless
// env says what the program is part of.
func (o *execOnce) trace(event *router.Event) (variables []string) {
	if o.program.traced {
		return nil
	}
	eachTrace(event, func(name, value string) {
		variables = append(variables, strings.ToUpper(name)+"="+value)
	})
	return variables
}

func (o *execOnce) verdict(ended error, stderr *execTail) error {
	if ended == nil {
		return nil
	}
	err := fmt.Errorf("program %q: %s%s", o.program.name(), endOf(ended), stderr.about(o.program.secrets))
	exit, _ := errors.AsType[*exec.ExitError](ended)
	switch {
	case exit == nil:
		return err
	case exit.ExitCode() == exitPermanent:
		return router.Permanent(err)
	case exit.ExitCode() == exitUnavailable:
		return router.Unavailable(err, 0)
	default:
		return err
	}
}

// Close says what of the output was left out.
func (o *execOnce) Close() error {
	o.program.output.flush()
	return nil
}
