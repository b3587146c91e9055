package router

// follow makes r the successor of old, which has the same lanes: what waits for an
// attempt makes it now if that may help, and goes on waiting if nothing has changed.
func (r *route) follow(old *route) {
	if r.Policy == old.Policy && r.gate != nil && r.gate.prefix == old.gate.prefix && r.gate.waits == old.gate.waits {
		r.gate = old.gate // it holds the leases of what is in hand
	}
	if r.Policy == old.Policy && r.handler == old.handler {
		r.replaced = old.replaced
		return
	}
	close(old.replaced)
}

// successor is the route as it is by now, for what a worker has in hand.
func (r *route) successor(w *worker) *route {
	now := r.lanes.route.Load()
	if now.gate != r.gate {
		r.leaveGate(w.tries)
	}
	if now.batch == nil && len(w.tries) > 1 { // a chunk, and its handler takes batches no more
		now.leaveGate(w.tries[1:])
		w.putBack(w.tries[1:])
		w.tries = w.tries[:1]
	}
	return now
}

// leaveGate gives up what the gate holds of events, for another gate to claim.
func (r *route) leaveGate(tries []try) {
	r.gate.release(tries)
	for i := range tries {
		tries[i].hold = nil
	}
}
