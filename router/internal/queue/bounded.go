package queue

import "strings"

// Sized is what a [Bounded] holds.
type Sized interface{ Bytes() int }

// Bounded is a queue with two limits that drops values when it is full.
//
// Without a key it drops the oldest. With one it keeps the newest of each key, from the
// overflow until it is empty: all that waits behind a newer value of its key is dropped
// at once, and then each value replaces the one of its key. It takes that one's place,
// not the last: else a key that changes faster than the queue moves would never reach
// the front. What has no key is never replaced. When that is not enough, because there
// are more keys than places, what is at the front is dropped.
type Bounded[T Sized] struct {
	Deque[T]
	bytes              int
	maxCount, maxBytes int
	key                func(T) string // empty: it has none
	newest             map[string]int // where each key waits, counted from the first value; nil: no overflow
	taken              int            // values that left the front: the number of the one that is there
}

// NewBounded returns a queue for so many values, and so many bytes of them. Key may be nil.
func NewBounded[T Sized](count, bytes int, key func(T) string) Bounded[T] {
	return Bounded[T]{maxCount: count, maxBytes: bytes, key: key}
}

// Resize changes what the queue can hold, and by what it drops. It returns how many
// values were dropped.
func (q *Bounded[T]) Resize(count, bytes int, key func(T) string) (dropped int) {
	q.maxCount, q.maxBytes, q.key, q.newest = count, bytes, key, nil
	for q.n > 0 && (q.n > q.maxCount || q.bytes > q.maxBytes) {
		q.Pop()
		dropped++
	}
	return dropped
}

// Push appends v and returns how many values were dropped for it. One that is larger
// than the whole queue may be is dropped itself: nothing else need go.
func (q *Bounded[T]) Push(v T) (dropped int) {
	size := v.Bytes()
	if size > q.maxBytes {
		return 1
	}
	if q.overflows(size) && q.newest == nil && q.key != nil {
		dropped = q.keepNewest()
	}
	if q.newest != nil {
		return dropped + q.replace(v)
	}
	return dropped + q.append(v)
}

// append makes v the last.
func (q *Bounded[T]) append(v T) (dropped int) {
	size := v.Bytes()
	for q.overflows(size) && q.n > 0 {
		q.Pop()
		dropped++
	}
	q.PushBack(v)
	q.bytes += size
	return dropped
}

// replace puts v where its key waits, if it does.
func (q *Bounded[T]) replace(v T) (dropped int) {
	key := q.key(v)
	where, waits := q.newest[key]
	if !waits {
		dropped = q.append(v)
		if key != "" && q.newest != nil { // else v has displaced everything
			// A copy, since the key is perhaps a part of a message that is replaced soon.
			q.newest[strings.Clone(key)] = q.taken + q.n - 1
		}
		return dropped
	}
	old := q.at(where - q.taken)
	q.bytes += v.Bytes() - (*old).Bytes()
	*old = v
	for dropped = 1; q.bytes > q.maxBytes; dropped++ {
		q.Pop()
	}
	return dropped
}

// overflows reports whether something must be dropped for so many bytes more.
func (q *Bounded[T]) overflows(size int) bool {
	return q.n >= q.maxCount || q.bytes+size > q.maxBytes
}

// keepNewest drops every value that has a newer one of its key. It costs as much as the
// queue is long, and comes once for each time that it fills up.
func (q *Bounded[T]) keepNewest() (dropped int) {
	waiting := q.Deque
	q.Deque, q.bytes, q.newest = Deque[T]{}, 0, make(map[string]int)
	for waiting.Len() > 0 {
		dropped += q.replace(waiting.PopFront())
	}
	return dropped
}

// Pop takes the oldest. The queue must not be empty.
func (q *Bounded[T]) Pop() T {
	v := q.PopFront()
	q.bytes -= v.Bytes()
	if q.newest != nil {
		q.forget(v)
	}
	q.taken++
	return v
}

// forget notes that v leaves an overflowing queue.
func (q *Bounded[T]) forget(v T) {
	delete(q.newest, q.key(v))
	if q.n == 0 {
		q.newest = nil // the overflow is over
	}
}
