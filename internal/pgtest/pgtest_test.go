package pgtest

import (
	"runtime"
	"testing"
	"time"
)

func TestServerComesBack(t *testing.T) {
	t.Parallel()
	s := Start(t)
	db := s.Open(t)
	db.Exec("CREATE TABLE t (n int)", "INSERT INTO t VALUES (7)")
	s.Kill()
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	if got := s.Open(t).Text("SELECT sum(n) FROM t"); got != "7" {
		t.Errorf("after a crash the table has %q", got)
	}
	s.Pause()
	s.Resume()
	if got := s.Create(t).Text("SELECT to_regclass('t')"); got != "NULL" {
		t.Errorf("another database has the table %q", got)
	}
	s.Stop()
	s.Stop()
}

// The kernel kills a server with the thread that started it, and Go may end the thread
// that a test runs on.
func TestServerOutlivesThread(t *testing.T) {
	t.Parallel()
	s := Absent(t)
	ran := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		ran <- s.Run()
	}()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.exited:
		t.Error("the server ended with the thread")
	case <-time.After(300 * time.Millisecond):
	}
}
