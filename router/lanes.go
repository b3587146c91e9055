package router

import "sync"

// maxChunk is how many events a BatchHandler gets at once, at most.
const maxChunk = 256

// lanes are where the events of a route wait, and its workers: goroutines that exist
// only while there is work, so that ten thousand idle routes cost nothing.
type lanes struct {
	route   *route
	running *sync.WaitGroup // counts the workers of all routes

	mu     sync.Mutex
	ready  []*lane          // that have events and are in no worker's hands
	byKey  map[string]*lane // that have events or are in a worker's hands
	only   *lane            // for a route with one worker: everything stays in order
	active int              // workers at work
	count  uint64           // events pushed so far
}

// lane is events that must stay in order: those of one key.
type lane struct {
	key   string
	queue []*delivery
	taken bool // it is ready, or in a worker's hands
}

func newLanes(r *route, running *sync.WaitGroup) *lanes {
	l := &lanes{route: r, running: running}
	if r.Policy.Workers == 1 {
		l.only = &lane{}
	} else {
		l.byKey = map[string]*lane{}
	}
	return l
}

// push adds events in order and takes over the slice. It never blocks: what the
// transport lets in flight bounds the queues.
func (l *lanes) push(events []*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count += uint64(len(events))
	if l.only != nil {
		l.add(l.only, events)
	} else {
		for _, d := range events {
			l.add(l.of(d.event.Key), []*delivery{d})
		}
	}
	for n := min(l.route.Policy.Workers-l.active, len(l.ready)); n > 0; n-- {
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
	n := 0
	for n < len(l.ready) && (n == 0 || l.route.batch != nil && len(w.rest) < maxChunk) {
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
	l.ready = l.ready[n:]
	if n == 0 {
		l.active--
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
