package queue

// Deque is a queue with two ends on a ring that grows as needed.
type Deque[T any] struct {
	ring []T // its length is a power of two
	head int
	n    int
}

// Len is how many values it holds.
func (d *Deque[T]) Len() int { return d.n }

// PushBack makes v the last.
func (d *Deque[T]) PushBack(v T) {
	d.grow()
	d.ring[(d.head+d.n)&(len(d.ring)-1)] = v
	d.n++
}

// PushFront makes v the first.
func (d *Deque[T]) PushFront(v T) {
	d.grow()
	d.head = (d.head - 1) & (len(d.ring) - 1)
	d.ring[d.head] = v
	d.n++
}

// PopFront takes the oldest value. The deque must not be empty.
func (d *Deque[T]) PopFront() T {
	var zero T
	v := d.ring[d.head]
	d.ring[d.head] = zero // what was delivered is not kept alive
	d.head = (d.head + 1) & (len(d.ring) - 1)
	d.n--
	return v
}

// at is the i-th value from the front.
func (d *Deque[T]) at(i int) *T { return &d.ring[(d.head+i)&(len(d.ring)-1)] }

func (d *Deque[T]) grow() {
	if d.n < len(d.ring) {
		return
	}
	ring := make([]T, max(16, 2*len(d.ring)))
	k := copy(ring, d.ring[d.head:])
	copy(ring[k:], d.ring[:d.head])
	d.ring, d.head = ring, 0
}
