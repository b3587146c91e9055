package handlers

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

const (
	// killGrace is how long a process has between SIGTERM and SIGKILL. It is less than the
	// second after which a route gives up a handler that doesn't return.
	killGrace = 500 * time.Millisecond
	// leftGrace is how long output is still read when its process has ended: what it
	// started may hold the other end, outside its group.
	leftGrace = 200 * time.Millisecond
)

// execProcess is a running program, and whatever it starts in its process group.
type execProcess struct {
	cmd                   *exec.Cmd
	stdin, stdout, stderr *os.File // our ends
	readers               sync.WaitGroup

	mu     sync.Mutex
	ended  bool
	killer *time.Timer
}

// start starts the program. The caller locks its goroutine to its thread, and calls wait
// on the same: on Linux the kernel kills the program with the thread that started it.
// Variables that env sets, too, have the value from there.
func (p *execProgram) start(variables ...string) (*execProcess, error) {
	pipes := make([]*os.File, 0, 6)
	closeAll := func(files []*os.File) {
		for _, f := range files {
			_ = f.Close()
		}
	}
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(pipes)
			return nil, fmt.Errorf("start program %q: %w", p.name(), err)
		}
		pipes = append(pipes, r, w)
	}
	running := &execProcess{stdin: pipes[1], stdout: pipes[2], stderr: pipes[4]}
	theirs := []*os.File{pipes[0], pipes[3], pipes[5]}
	running.cmd = &exec.Cmd{Path: p.path, Args: p.args, Dir: p.dir, Env: append(variables, p.env...), Stdin: theirs[0], Stdout: theirs[1], Stderr: theirs[2]}
	ownGroup(running.cmd)
	err := running.cmd.Start()
	closeAll(theirs)
	if err != nil {
		closeAll([]*os.File{running.stdin, running.stdout, running.stderr})
		return nil, fmt.Errorf("start program %q: %w", p.name(), err)
	}
	return running, nil
}

// read calls do for each line that the program writes, until it has ended.
func (r *execProcess) read(from *os.File, size int, do func(line []byte, cut bool)) {
	r.readers.Go(func() { eachLine(from, size, do) })
}

// wait waits until the program has ended, kills what it has left behind, and returns when
// all that they wrote is read. Stdin is left to the caller.
func (r *execProcess) wait() error {
	err := r.cmd.Wait()
	r.mu.Lock()
	r.ended = true
	if r.killer != nil {
		r.killer.Stop()
	}
	// The number of the group can't be another's yet: numbers are given out in turn.
	signalGroup(r.cmd.Process, sigKill)
	r.mu.Unlock()

	limit := time.AfterFunc(leftGrace, func() {
		now := time.Now()
		_ = r.stdout.SetReadDeadline(now)
		_ = r.stderr.SetReadDeadline(now)
	})
	r.readers.Wait()
	limit.Stop()
	_ = r.stdout.Close()
	_ = r.stderr.Close()
	return err
}

// terminate asks the program to end, and kills it when it doesn't. It doesn't wait.
func (r *execProcess) terminate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.killer != nil {
		return
	}
	signalGroup(r.cmd.Process, sigTerm)
	r.killer = time.AfterFunc(killGrace, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.ended {
			signalGroup(r.cmd.Process, sigKill)
		}
	})
}
