package ops

import (
	"strings"
	"sync"
	"time"

	"signalbox/router"
)

// What is kept for whoever opens the page, problems apart: who opens it at night wants to
// see what failed before.
const (
	keptProblems = 200
	keptOthers   = 500
	keptBytes    = 2 << 20 // of either
)

// What is sent at a time, of problems and of others each. What is more is not shown.
const (
	batchEvents = 100
	batchBytes  = 1 << 20
)

// events gathers what became of events. Handlers wait for it, so nothing waits while its
// mutex is held.
type events struct {
	mu       sync.Mutex
	seq      uint64
	problems ring
	others   ring
	batch    batch
	watched  bool
	shown    uint64 // that were in batches
	dropped  uint64 // that were seen and did not fit into one
}

func newEvents() *events {
	return &events{problems: ring{most: keptProblems}, others: ring{most: keptOthers}}
}

// wellDone reports whether an outcome is one of those that nobody has to look after.
func wellDone(o *router.Outcome) bool {
	switch o.Result {
	case router.Failed, router.Retried, router.Rejected, router.CrashLoop:
		return false
	}
	return !o.Kept
}

// see takes in what became of an event. Of what went well, nothing is kept while nobody
// watches.
func (e *events) see(o *router.Outcome) {
	problem := !wellDone(o)
	if !problem && !e.wanted() {
		return
	}
	event := newWireEvent(o)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq++
	event.Seq = e.seq
	if problem {
		e.problems.add(event)
	} else {
		e.others.add(event)
	}
	if !e.watched {
		return
	}
	if e.batch.add(event, problem) {
		e.shown++
	} else {
		e.dropped++
	}
}

// wanted reports whether there is room for one more that went well: a message that nobody
// will see is not worth its copy.
func (e *events) wanted() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watched && e.batch.full(false) {
		e.dropped++
		return false
	}
	return e.watched
}

// watch says whether somebody watches.
func (e *events) watch(watched bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watched, e.batch = watched, batch{}
}

// take is what happened since it was last called.
func (e *events) take() []*wireEvent {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.batch.take()
}

// takeAll is take, and what is kept of all that came after a number.
func (e *events) takeAll(after uint64) (fresh, kept []*wireEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.batch.take(), merged(e.problems.after(after), e.others.after(after))
}

// counted are how many events were shown, and how many were seen and not.
func (e *events) counted() (shown, dropped uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shown, e.dropped
}

// batch is what is sent at a time.
type batch struct {
	events           []*wireEvent
	problems, others int
	bytes            int
}

func (b *batch) full(problem bool) bool {
	if problem {
		return b.problems >= batchEvents || b.bytes >= 2*batchBytes
	}
	return b.others >= batchEvents || b.bytes >= batchBytes
}

func (b *batch) add(event *wireEvent, problem bool) bool {
	if b.full(problem) {
		return false
	}
	if problem {
		b.problems++
	} else {
		b.others++
	}
	b.events = append(b.events, event)
	b.bytes += event.size()
	return true
}

func (b *batch) take() []*wireEvent {
	taken := b.events
	*b = batch{}
	return taken
}

// ring keeps the newest events, the oldest first.
type ring struct {
	most   int
	events []*wireEvent
	bytes  int
}

func (r *ring) add(event *wireEvent) {
	r.events = append(r.events, event)
	r.bytes += event.size()
	for len(r.events) > r.most || r.bytes > keptBytes {
		r.bytes -= r.events[0].size()
		r.events[0] = nil
		r.events = r.events[1:]
	}
}

// after are those with a larger number.
func (r *ring) after(seq uint64) []*wireEvent {
	from := len(r.events)
	for from > 0 && r.events[from-1].Seq > seq {
		from--
	}
	return r.events[from:]
}

// merged are two lists in the order of their numbers, as a new one.
func merged(a, b []*wireEvent) []*wireEvent {
	all := make([]*wireEvent, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].Seq < b[0].Seq {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// newWireEvent copies all that it keeps: the texts of an event are views of its message.
func newWireEvent(o *router.Outcome) *wireEvent {
	w := &wireEvent{
		At: time.Now().UnixMilli(), Channel: o.Channel, Route: o.Route, Handler: o.Handler,
		Result: string(o.Result), Reason: string(o.Reason), Kept: o.Kept,
		Attempt: o.Attempt, Pause: o.Pause.Milliseconds(), Micros: o.Took.Microseconds(),
	}
	if o.Err != nil {
		w.Error = start(o.Err.Error(), maxError)
	}
	message := o.Payload
	if e := o.Event; e != nil {
		message = e.Msg
		w.Type, w.ID, w.Key, w.Trace = start(e.Type, maxError), start(e.ID, maxError), start(e.Key, maxError), strings.Clone(e.TraceID())
		if e.Name != o.Channel {
			w.Name = start(e.Name, maxError)
		}
		if !e.Time.IsZero() {
			w.Time = e.Time.UnixMilli()
		}
	}
	w.Message, w.Cut = ShownMessage(message)
	return w
}

// size is about how many bytes an event takes.
func (w *wireEvent) size() int {
	return 400 + len(w.Message) + len(w.Error) + len(w.Type) + len(w.ID) + len(w.Key) + len(w.Name)
}
