package transport

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestBoundedQueue(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	q := bounded{maxEvents: 50, maxBytes: 400}
	var model []string
	size := 0
	for i := range 20_000 {
		if random.IntN(3) == 0 && q.n > 0 {
			if got := string(q.pop().payload); got != model[0] {
				t.Fatalf("step %d: got %q, want %q", i, got, model[0])
			}
			size -= len(model[0])
			model = model[1:]
			continue
		}
		payload := strings.Repeat("x", random.IntN(30)) + fmt.Sprint(i)
		dropped := 0
		for len(model) >= q.maxEvents || size+len(payload) > q.maxBytes {
			size -= len(model[0])
			model = model[1:]
			dropped++
		}
		model = append(model, payload)
		size += len(payload)
		if got := q.push(arrival{payload: []byte(payload)}); got != dropped || q.n != len(model) || q.bytes != size {
			t.Fatalf("step %d: dropped %d of %d, %d events of %d, %d bytes of %d",
				i, got, dropped, q.n, len(model), q.bytes, size)
		}
	}
	if dropped := q.push(arrival{payload: bytes.Repeat([]byte("x"), 401)}); dropped != 1 || q.n != len(model) {
		t.Fatal("one event that can never fit displaced others")
	}
}

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

func BenchmarkQueue(b *testing.B) {
	q := bounded{maxEvents: 65536, maxBytes: 32 << 20}
	a := arrival{topic: "prices", payload: make([]byte, 280)}
	b.ReportAllocs()
	for b.Loop() {
		q.push(a)
		q.pop()
	}
}
