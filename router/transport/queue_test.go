package transport

import "testing"

func TestDeque(t *testing.T) {
	t.Parallel()
	var d deque[int]
	for i := range 100 {
		d.pushBack(i)
		d.pushFront(-i)
	}
	for i := 99; i >= 0; i-- {
		if got := d.popFront(); got != -i {
			t.Fatalf("got %d, want %d", got, -i)
		}
	}
	for i := range 100 {
		if got := d.popFront(); got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
	}
}
