package router

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxChunk is how many events a BatchHandler gets at once, at most.
const maxChunk = 256

// lanes are where the events of a route wait, and its workers: goroutines that exist
// only while there is work, so that ten thousand idle routes cost nothing. They outlive
// reloads: what waits is handled as the route says by then.
type lanes struct {
	route   atomic.Pointer[route]
	running *workforce  // counts the workers of all routes
	dropped atomic.Bool // what is left is not handled any more

	mu      sync.Mutex
	ready   []*lane          // that have events and are in no worker's hands
	byKey   map[string]*lane // that have events or are in a worker's hands
	only    *lane            // for a route with one worker: everything stays in order
	workers int              // at most
	active  int              // workers at work
	count   uint64           // events pushed so far
	regroup bool             // between one worker and several: new events are held back until the lanes are empty
	held    []*delivery      // those
	empty   chan struct{}    // closed when the lanes are empty; nil: nobody waits for it
}

// lane is events that must stay in order: those of one key.
type lane struct {
	key   string
	queue []*delivery
	taken bool // it is ready, or in a worker's hands
}

func newLanes(r *route, running *workforce) *lanes {
	l := &lanes{running: running, workers: r.Policy.Workers}
	l.route.Store(r)
	l.group()
	return l
}

// group makes the lanes anew, for one worker or for several.
func (l *lanes) group() {
	l.only, l.byKey = nil, nil
	if l.workers == 1 {
		l.only = &lane{}
	} else {
		l.byKey = map[string]*lane{}
	}
}

// push adds events in order and takes over the slice. It never blocks: what the
// transport lets in flight bounds the queues.
func (l *lanes) push(events []*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count += uint64(len(events))
	if l.regroup {
		l.held = append(l.held, events...)
		return
	}
	l.enqueue(events)
}

// offer is push for one who has a worker to spare. It reports whether the lanes want it;
// then they count it already.
func (l *lanes) offer(events []*delivery) bool {
	l.mu.Lock()
	if l.only == nil || l.regroup {
		l.mu.Unlock()
		l.push(events)
		return false
	}
	defer l.mu.Unlock()
	l.count += uint64(len(events))
	l.add(l.only, events)
	if l.active > 0 || len(l.ready) == 0 {
		return false
	}
	l.active++
	l.running.Add(1)
	return true
}

// enqueue puts events into their lanes and starts workers; the caller holds the lock.
func (l *lanes) enqueue(events []*delivery) {
	if l.only != nil && len(events) > 0 {
		l.add(l.only, events)
	} else {
		for _, d := range events {
			l.add(l.of(d.event.Key), []*delivery{d})
		}
	}
	for n := min(l.workers-l.active, len(l.ready)); n > 0; n-- {
		l.start(&worker{lanes: l})
	}
}

// pushed is how many events have come in.
func (l *lanes) pushed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// of returns the lane of a key. An event without a key has a lane of its own.
func (l *lanes) of(key string) *lane {
	if key == "" {
		return &lane{}
	}
	one := l.byKey[key]
	if one == nil {
		one = &lane{key: key}
		l.byKey[key] = one
	}
	return one
}

func (l *lanes) add(to *lane, events []*delivery) {
	if len(to.queue) == 0 {
		to.queue = events
	} else {
		to.queue = append(to.queue, events...)
	}
	if !to.taken {
		to.taken = true
		l.ready = append(l.ready, to)
	}
}

// start runs a worker; the caller holds the lock.
func (l *lanes) start(w *worker) {
	l.active++
	l.running.Add(1)
	go w.work()
}

// replace runs next in place of a worker that is lost.
func (l *lanes) replace(next *worker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active--
	l.start(next)
}

// refill gives back the lanes that a worker has finished with and gives it the events
// of the next: of one lane, or for a BatchHandler of as many as make a chunk. Without
// any it reports false, and the worker ends.
func (l *lanes) refill(w *worker) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range w.lanesHeld {
		l.giveBack(one)
	}
	w.lanesHeld, w.rest = w.lanesHeld[:0], nil
	if l.active > l.workers { // there are fewer since a reload
		l.active--
		return false
	}
	isBatch := l.route.Load().batch != nil
	n := 0
	for n < len(l.ready) && (n == 0 || isBatch && len(w.rest) < maxChunk) {
		one := l.ready[n]
		n++
		if w.rest == nil {
			w.rest = one.queue
		} else {
			w.rest = append(w.rest, one.queue...)
		}
		one.queue = nil
		w.lanesHeld = append(w.lanesHeld, one)
	}
	clear(l.ready[:n])
	if n == len(l.ready) {
		l.ready = l.ready[:0] // its place is used again
	} else {
		l.ready = l.ready[n:]
	}
	if n == 0 {
		l.active--
		l.resettle()
	}
	return n > 0
}

func (l *lanes) giveBack(one *lane) {
	if len(one.queue) > 0 {
		l.ready = append(l.ready, one)
		return
	}
	one.taken = false
	if one.key != "" {
		delete(l.byKey, one.key)
	}
}

// adopt makes next the route of these lanes, from the next attempt on.
func (l *lanes) adopt(next *route) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.route.Load()
	if old == next {
		return
	}
	next.follow(old)
	l.route.Store(next)
	l.workers = next.Policy.Workers
	l.regroup = (l.workers == 1) != (l.only != nil)
	l.resettle()
}

// resettle goes on after a change, once that is possible; the caller holds the lock.
func (l *lanes) resettle() {
	if l.regroup && l.active == 0 {
		l.regroup = false
		l.group()
	}
	if !l.regroup {
		held := l.held
		l.held = nil
		l.enqueue(held)
	}
	if l.active == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// drained is closed when nothing is left. Nothing may be pushed any more.
func (l *lanes) drained() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	empty := make(chan struct{})
	if l.empty != nil {
		empty = l.empty
	} else if l.active == 0 {
		close(empty)
	} else {
		l.empty = empty
	}
	return empty
}

// drop gives up what is left: it has failed, and is kept as the route says.
func (l *lanes) drop() {
	l.dropped.Store(true)
	close(l.route.Load().replaced)
}

// workforce counts workers, for who waits for the last one and for who wants to know of
// each.
type workforce struct {
	sync.WaitGroup
	tell func(change int) // nil: nobody does
	born time.Time
}

// clock is a time of its own: looking at it is cheaper than at the time of day.
func (w *workforce) clock() time.Duration { return time.Since(w.born) }

// Add counts workers that begin, before they do.
func (w *workforce) Add(n int) {
	if w.tell != nil {
		w.tell(n)
	}
	w.WaitGroup.Add(n)
}

// Done counts a worker that has ended.
func (w *workforce) Done() {
	if w.tell != nil {
		w.tell(-1)
	}
	w.WaitGroup.Done()
}
