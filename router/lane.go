package router

import "sync"

// maxChunk is how many events a BatchHandler gets at once, at most.
const maxChunk = 256

// lane runs the events of a route in order. It is a goroutine only while it has work,
// so that ten thousand idle routes cost nothing.
type lane struct {
	route   *route
	running *sync.WaitGroup // counts the goroutines of all lanes

	mu    sync.Mutex
	queue []*delivery
	total uint64 // events pushed so far
	busy  bool

	// Only the lane's goroutine uses these.
	rest    []*delivery // taken from the queue, not begun
	current []*delivery // in the handler's hands
}

// push adds events in order and takes over the slice. It never blocks: what the
// transport lets in flight bounds the queue.
func (l *lane) push(events []*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += uint64(len(events))
	if len(l.queue) == 0 {
		l.queue = events
	} else {
		l.queue = append(l.queue, events...)
	}
	if !l.busy {
		l.busy = true
		l.start()
	}
}

// pushed returns how many events the lane got so far.
func (l *lane) pushed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

func (l *lane) start() {
	l.running.Add(1)
	go l.work()
}

// work handles events until none wait. A handler may end the goroutine under it with
// runtime.Goexit; its events then failed, and a new goroutine goes on.
func (l *lane) work() {
	defer l.running.Done()
	idle := false
	defer func() {
		if !idle {
			l.route.exited(l.current)
			l.start()
		}
	}()
	for l.take() {
		l.route.handle(l.current)
	}
	idle = true
}

// take moves the next events into the handler's hands: one, or for a BatchHandler as
// many as wait.
func (l *lane) take() bool {
	if len(l.rest) == 0 && !l.refill() {
		return false
	}
	n := 1
	if l.route.batch != nil {
		n = min(len(l.rest), maxChunk)
	}
	l.current, l.rest = l.rest[:n], l.rest[n:]
	return true
}

// refill empties the queue into rest, or marks the lane idle: from then on its fields
// belong to the goroutine that push starts.
func (l *lane) refill() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = nil
	l.rest, l.queue = l.queue, nil
	l.busy = len(l.rest) > 0
	return l.busy
}
