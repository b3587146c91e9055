package transport

// deque is a queue with two ends on a ring that grows as needed.
type deque[T any] struct {
	ring []T // its length is a power of two
	head int
	n    int
}

func (d *deque[T]) len() int { return d.n }

func (d *deque[T]) pushBack(v T) {
	d.grow()
	d.ring[(d.head+d.n)&(len(d.ring)-1)] = v
	d.n++
}

func (d *deque[T]) pushFront(v T) {
	d.grow()
	d.head = (d.head - 1) & (len(d.ring) - 1)
	d.ring[d.head] = v
	d.n++
}

// popFront takes the oldest value. The deque must not be empty.
func (d *deque[T]) popFront() T {
	var zero T
	v := d.ring[d.head]
	d.ring[d.head] = zero // what was delivered is not kept alive
	d.head = (d.head + 1) & (len(d.ring) - 1)
	d.n--
	return v
}

func (d *deque[T]) grow() {
	if d.n < len(d.ring) {
		return
	}
	ring := make([]T, max(16, 2*len(d.ring)))
	k := copy(ring, d.ring[d.head:])
	copy(ring[k:], d.ring[:d.head])
	d.ring, d.head = ring, 0
}

// arrival is a Pub/Sub message that waits.
type arrival struct {
	topic   string
	payload []byte
	at      int64 // Unix time in ns
}

// bounded is a queue with two limits that drops the oldest when it is full.
type bounded struct {
	deque[arrival]
	bytes               int
	maxEvents, maxBytes int
}

// push appends a and returns how many events were dropped for it. One that is larger
// than the whole queue may be is dropped itself: nothing else need go.
func (q *bounded) push(a arrival) (dropped int) {
	size := len(a.payload)
	if size > q.maxBytes {
		return 1
	}
	for q.n > 0 && (q.n >= q.maxEvents || q.bytes+size > q.maxBytes) {
		q.pop()
		dropped++
	}
	q.pushBack(a)
	q.bytes += size
	return dropped
}

func (q *bounded) pop() arrival {
	a := q.popFront()
	q.bytes -= len(a.payload)
	return a
}
