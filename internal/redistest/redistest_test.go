package redistest

import (
	"testing"
)

func TestServerComesBack(t *testing.T) {
	t.Parallel()
	s := Start(t, AOF(), Password("secret"))
	if err := s.Client().Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := s.Client().Ping(t.Context()).Err(); err == nil {
		t.Fatal("a killed server answers")
	}
	s.Restart()
	if got := s.Client().Get(t.Context(), "key").Val(); got != "value" {
		t.Fatalf("the append-only file has %q", got)
	}
	s.Stop()
	s.Stop()
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	a, b := Start(t), Start(t)
	if err := a.Client().Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n := b.Client().DBSize(t.Context()).Val(); n != 0 || a.Addr() == b.Addr() {
		t.Fatalf("the other server has %d keys", n)
	}
}
