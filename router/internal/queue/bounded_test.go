package queue

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestBoundedQueue(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	q := NewBounded[text](50, 400, nil)
	var model []string
	size := 0
	for i := range 20_000 {
		if random.IntN(3) == 0 && q.n > 0 {
			if got := string(q.Pop()); got != model[0] {
				t.Fatalf("step %d: got %q, want %q", i, got, model[0])
			}
			size -= len(model[0])
			model = model[1:]
			continue
		}
		payload := strings.Repeat("x", random.IntN(30)) + fmt.Sprint(i)
		dropped := 0
		for len(model) >= q.maxCount || size+len(payload) > q.maxBytes {
			size -= len(model[0])
			model = model[1:]
			dropped++
		}
		model = append(model, payload)
		size += len(payload)
		if got := q.Push(text([]byte(payload))); got != dropped || q.n != len(model) || q.bytes != size {
			t.Fatalf("step %d: dropped %d of %d, %d events of %d, %d bytes of %d",
				i, got, dropped, q.n, len(model), q.bytes, size)
		}
	}
	if dropped := q.Push(text(bytes.Repeat([]byte("x"), 401))); dropped != 1 || q.n != len(model) {
		t.Fatal("one event that can never fit displaced others")
	}
}

type text []byte

func (t text) Bytes() int { return len(t) }

// keyed is a queue whose payloads are "key=value", or without a key.
func keyed(count, bytes int) *Bounded[text] {
	q := NewBounded(count, bytes, func(v text) string {
		key, _, found := strings.Cut(string(v), "=")
		if !found {
			return ""
		}
		return key
	})
	return &q
}

func TestNewestPerKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		push    string
		want    string
		dropped int
	}{
		{"all fit", "a=1 a=2 b=1 a=3", "a=1 a=2 b=1 a=3", 0},
		{"full: of each key the newest is left", "a=1 a=2 b=1 a=3 b=2", "a=3 b=2", 3},
		{"where the oldest was", "b=1 a=1 b=2 a=2 c=1", "b=2 a=2 c=1", 2},
		{"from then on they replace each other", "a=1 a=2 a=3 a=4 a=5 b=1 a=6 b=2", "a=6 b=2", 6},
		{"more keys than places", "a=1 b=1 c=1 d=1 e=1 f=1", "c=1 d=1 e=1 f=1", 2},
		{"what has no key is not replaced", "x x x a=1 a=2", "x x x a=2", 1},
		{"nothing has a key", "x y z u v w", "z u v w", 2},
		{"one that never fits", "a=1 a=" + strings.Repeat("9", 90), "a=1", 1},
		{"too many bytes", "a=" + strings.Repeat("1", 50) + " b=1 a=" + strings.Repeat("2", 48) + " c=1", "a=" + strings.Repeat("2", 48) + " b=1 c=1", 1},
		{"one displaces everything", "a=1 a=2 a=3 a=4 a=5 b=" + strings.Repeat("1", 77) + " b=2", "b=2", 6},
		{"a replacement that does not fit", "a=1 b=" + strings.Repeat("1", 40) + " c=1 a=2 a=3 a=" + strings.Repeat("4", 60), "b=" + strings.Repeat("1", 40) + " c=1", 4},
	} {
		q := keyed(4, 80)
		dropped := 0
		for word := range strings.FieldsSeq(c.push) {
			dropped += q.Push(text(word))
		}
		var got []string
		for q.n > 0 {
			got = append(got, string(q.Pop()))
		}
		if strings.Join(got, " ") != c.want || dropped != c.dropped {
			t.Errorf("%s: got %s, dropped %d, want %s, %d", c.name, got, dropped, c.want, c.dropped)
		}
		if q.bytes != 0 {
			t.Errorf("%s: %d bytes in an empty queue", c.name, q.bytes)
		}
	}
}

// After it was empty, nothing is replaced until it is full again.
func TestNewestPerKeyEnds(t *testing.T) {
	t.Parallel()
	q := keyed(3, 1000)
	for range 4 {
		q.Push(text([]byte("a=1")))
	}
	if q.n != 1 {
		t.Fatalf("%d wait", q.n)
	}
	q.Pop()
	for range 3 {
		if dropped := q.Push(text([]byte("a=1"))); dropped != 0 {
			t.Fatal("dropped when it was not full")
		}
	}
}

// The queue against what it promises: what was pushed was popped or dropped, each key
// comes in order, and its last event is not among the dropped.
func TestNewestPerKeyProperties(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { checkNewestPerKey(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func checkNewestPerKey(t *testing.T, random *rand.Rand) {
	t.Helper()
	keys := 1 + random.IntN(12)
	q := keyed(keys+random.IntN(30), 1<<20)
	pushed, popped, dropped := 0, 0, 0
	last, seen := map[string]int{}, map[string]int{}
	take := func() {
		key, number, _ := strings.Cut(string(q.Pop()), "=")
		n, _ := strconv.Atoi(number)
		if n <= seen[key] {
			t.Fatalf("key %s: %d after %d", key, n, seen[key])
		}
		seen[key] = n
		popped++
	}
	patience := random.IntN(10) // how often something is taken
	for range random.IntN(500) {
		if random.IntN(10) < patience && q.n > 0 {
			take()
			continue
		}
		pushed++
		key := fmt.Sprint("k", random.IntN(keys))
		last[key] = pushed
		dropped += q.Push(text(fmt.Appendf(nil, "%s=%d", key, pushed)))
	}
	for q.n > 0 {
		take()
	}
	if pushed != popped+dropped || q.bytes != 0 {
		t.Fatalf("pushed %d, popped %d, dropped %d, %d bytes are left", pushed, popped, dropped, q.bytes)
	}
	for key, n := range last {
		if seen[key] != n {
			t.Fatalf("key %s: the last that came was %d of %d", key, seen[key], n)
		}
	}
}

// A key that changes faster than the queue moves gets its turn all the same.
func TestNewestPerKeyIsFair(t *testing.T) {
	t.Parallel()
	q := keyed(100, 1<<20)
	var got []string
	for i := range 4000 {
		q.Push(text(fmt.Appendf(nil, "hot=%d", i)))
		q.Push(text(fmt.Appendf(nil, "k%d=%d", i%50, i)))
		if i%10 == 9 {
			got = append(got, string(q.Pop()))
		}
	}
	hot := len(slices.DeleteFunc(got[100:], func(p string) bool { return !strings.HasPrefix(p, "hot=") }))
	if hot < 4 {
		t.Errorf("a key of 51 was seen %d times in 300", hot)
	}
}

func BenchmarkQueue(b *testing.B) {
	q := NewBounded[text](65536, 32<<20, nil)
	a := text(make([]byte, 280))
	b.ReportAllocs()
	for b.Loop() {
		q.Push(a)
		q.Pop()
	}
}

// BenchmarkNewestPerKey overflows all the time: 500 keys and nobody who takes anything.
func BenchmarkNewestPerKey(b *testing.B) {
	q := keyed(65536, 32<<20)
	payloads := make([][]byte, 500)
	for i := range payloads {
		payloads[i] = fmt.Appendf(nil, "k%d=%s", i, strings.Repeat("x", 270))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		q.Push(text(payloads[i%len(payloads)]))
		i++
	}
}

// A queue that is made smaller drops what it cannot hold, and one that is made larger
// drops nothing.
func TestBoundedResize(t *testing.T) {
	t.Parallel()
	q := NewBounded[text](10, 1000, nil)
	for i := range 10 {
		q.Push(text([]byte{byte(i), 0}))
	}
	if dropped := q.Resize(100, 1000, nil); dropped != 0 || q.n != 10 {
		t.Errorf("dropped %d of a queue that grows", dropped)
	}
	if dropped := q.Resize(100, 14, nil); dropped != 3 || q.bytes != 14 {
		t.Errorf("dropped %d, %d bytes are left", dropped, q.bytes)
	}
	if dropped := q.Resize(2, 1000, nil); dropped != 5 || q.n != 2 {
		t.Errorf("dropped %d, %d are left", dropped, q.n)
	}
	if first := q.Pop(); first[0] != 8 {
		t.Errorf("the oldest is %d, want 8", first[0])
	}
}
