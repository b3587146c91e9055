package router

import (
	"runtime/debug"
)

// Condition decides whether a route takes an event whose type it takes. It is asked
// once per event, before any attempt, by the goroutine that reads the channel: it
// must be quick, and neither change the event nor keep it. An error fails the event
// on this route only.
type Condition func(*Event) (bool, error)

// ask is the condition's answer; a panic is an error.
func (c Condition) ask(event *Event) (matches bool, err error) {
	defer func() {
		if value := recover(); value != nil {
			matches, err = false, &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return c(event)
}

// admits asks the route's condition about an event. One that it doesn't admit is done
// on this route.
func (r *route) admits(d *delivery) bool {
	if r.When == nil {
		return true
	}
	matches, err := r.When.ask(&d.event)
	if err == nil && matches {
		return true
	}
	t := try{delivery: d}
	if err == nil {
		r.filtered.Add(1)
		r.tell(Filtered, t, nil, timing{})
		return false
	}
	r.deadLog().Error("condition failed", eventAttrs(&d.event, "err", err)...)
	d.ticket.hold()
	l := r.letterTo(t, ReasonPermanent, err, 0)
	fail := l.done
	l.done = func(kept bool) {
		r.refused.Add(1)
		fail(kept)
	}
	d.batch.letters = append(d.batch.letters, l)
	return false
}
