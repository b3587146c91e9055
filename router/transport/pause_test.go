package transport

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	var b backoff
	for range 100 {
		if d := b.next(); d < 50*time.Millisecond || d > 5*time.Second {
			t.Fatalf("pause of %v", d)
		}
	}
	b.reset()
	if d := b.next(); d > 100*time.Millisecond {
		t.Fatalf("first pause of %v", d)
	}
}
