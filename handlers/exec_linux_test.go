package handlers_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// A router that dies without a word takes its program with it, even one that ignores the
// end of its stdin.
func TestExecProgramDiesWithRouter(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notes")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	router := exec.Command(self, "router", file)
	router.Env = append(os.Environ(), playsProgram+"=1")
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	var pid, child int
	if _, err := fmt.Sscanf(awaitNote(t, file, 1)[0], "%d %d", &pid, &child); err != nil {
		t.Fatal(err)
	}
	if err := router.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = router.Wait()
	gone(t, pid)
	kill(child) // the kernel kills the program, not what that has started
}

// The kernel kills a program with the thread that started it, so that thread must not end
// before the program does.
func TestExecProgramOutlivesThreads(t *testing.T) {
	t.Parallel()
	h := newExec(t, testProgram(t, "echo"))
	o := newExec(t, onceProgram(t, "echo"))
	for round := range 20 {
		var threads sync.WaitGroup
		for range 10 {
			threads.Go(runtime.LockOSThread) // never unlocked: the thread ends with its goroutine
		}
		threads.Wait()
		if err := h.handle(t, long, execEvent(fmt.Sprint(round), "x")); err != nil {
			t.Error(err)
		}
		if err := o.handle(t, long, execEvent(fmt.Sprint(round), "x")); err != nil {
			t.Error(err)
		}
	}
	h.close()
	if n := len(h.log.of("program started")); n != 1 {
		t.Errorf("started %d times, want once", n)
	}
}
