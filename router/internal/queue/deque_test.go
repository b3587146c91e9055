package queue

import "testing"

func TestDeque(t *testing.T) {
	t.Parallel()
	var d Deque[int]
	for i := range 100 {
		d.PushBack(i)
		d.PushFront(-i)
	}
	for i := 99; i >= 0; i-- {
		if got := d.PopFront(); got != -i {
			t.Fatalf("got %d, want %d", got, -i)
		}
	}
	for i := range 100 {
		if got := d.PopFront(); got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
	}
}
