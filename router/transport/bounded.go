package transport

import "strings"

// arrival is a Pub/Sub message that waits.
type arrival struct {
	topic   string
	payload []byte
	at      int64 // Unix time in ns
}

// bounded is a queue with two limits that drops events when it is full.
//
// Without key it drops the oldest. With key it keeps the newest of each key, from the
// overflow until it is empty: all that waits behind a newer event of its key is dropped
// at once, and then each event replaces the one of its key. It takes that one's place,
// not the last: else a key that changes faster than the queue moves would never reach
// the front. What has no key is never replaced. When that is not enough, because there
// are more keys than places, what is at the front is dropped.
type bounded struct {
	deque[arrival]
	bytes               int
	maxEvents, maxBytes int

	key    func(topic string, payload []byte) string // empty: it has none
	newest map[string]int                            // where each key waits, counted from the first arrival; nil: no overflow
	taken  int                                       // arrivals that left the front: the number of the one that is there
}

// resize changes what the queue can hold, and by what it drops. It returns how many
// events were dropped.
func (q *bounded) resize(events, bytes int, key func(topic string, payload []byte) string) (dropped int) {
	q.maxEvents, q.maxBytes, q.key, q.newest = events, bytes, key, nil
	for q.n > 0 && (q.n > q.maxEvents || q.bytes > q.maxBytes) {
		q.pop()
		dropped++
	}
	return dropped
}

// push appends a and returns how many events were dropped for it. One that is larger
// than the whole queue may be is dropped itself: nothing else need go.
func (q *bounded) push(a arrival) (dropped int) {
	if len(a.payload) > q.maxBytes {
		return 1
	}
	if q.overflows(len(a.payload)) && q.newest == nil && q.key != nil {
		dropped = q.keepNewest()
	}
	if q.newest != nil {
		return dropped + q.replace(a)
	}
	return dropped + q.append(a)
}

// append makes a the last.
func (q *bounded) append(a arrival) (dropped int) {
	for q.overflows(len(a.payload)) && q.n > 0 {
		q.pop()
		dropped++
	}
	q.pushBack(a)
	q.bytes += len(a.payload)
	return dropped
}

// replace puts a where its key waits, if it does.
func (q *bounded) replace(a arrival) (dropped int) {
	key := q.key(a.topic, a.payload)
	where, waits := q.newest[key]
	if !waits {
		dropped = q.append(a)
		if key != "" && q.newest != nil { // else a has displaced everything
			// A copy, since the key is perhaps a part of a payload that is replaced soon.
			q.newest[strings.Clone(key)] = q.taken + q.n - 1
		}
		return dropped
	}
	old := q.at(where - q.taken)
	q.bytes += len(a.payload) - len(old.payload)
	*old = a
	for dropped = 1; q.bytes > q.maxBytes; dropped++ {
		q.pop()
	}
	return dropped
}

// overflows reports whether something must be dropped for so many bytes more.
func (q *bounded) overflows(size int) bool {
	return q.n >= q.maxEvents || q.bytes+size > q.maxBytes
}

// keepNewest drops every event that has a newer one of its key. It costs as much as the
// queue is long, and comes once for each time that it fills up.
func (q *bounded) keepNewest() (dropped int) {
	waiting := q.deque
	q.deque, q.bytes, q.newest = deque[arrival]{}, 0, make(map[string]int)
	for waiting.len() > 0 {
		dropped += q.replace(waiting.popFront())
	}
	return dropped
}

// pop takes the oldest. The queue must not be empty.
func (q *bounded) pop() arrival {
	a := q.popFront()
	q.bytes -= len(a.payload)
	if q.newest != nil {
		q.forget(a)
	}
	q.taken++
	return a
}

// forget notes that a leaves an overflowing queue.
func (q *bounded) forget(a arrival) {
	delete(q.newest, q.key(a.topic, a.payload))
	if q.n == 0 {
		q.newest = nil // the overflow is over
	}
}
