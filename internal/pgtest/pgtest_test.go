package pgtest

import "testing"

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
