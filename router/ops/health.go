package ops

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// lookTimeout is what a look at the program is given, and lookLimit how long somebody
	// waits for one: a look that does not mind its context is answered for.
	lookTimeout = 1800 * time.Millisecond
	lookLimit   = 2 * time.Second
	// lookHolds is how long the answer of a look is given to those who ask next.
	lookHolds = time.Second
)

// health is what is told of the program's state.
type health struct {
	Status  string   `json:"status"`
	Reasons []Reason `json:"reasons,omitempty"`
}

// routeHealth says where the health is asked for. /healthz is for who knows only one.
func (s *Server) routeHealth(mux *http.ServeMux, p Program, g *guard) {
	protect := g.secret
	if s.cfg.OpenHealth {
		protect = func(open http.Handler) http.Handler { return open }
	}
	ready := protect(methods{"GET": healthOf(p.Ready, "ready", "not ready")})
	mux.Handle("/livez", protect(methods{"GET": livez(p)}))
	mux.Handle("/readyz", ready)
	mux.Handle("/healthz", ready)
}

// livez is 200 as long as a restart would not help.
func livez(p Program) http.HandlerFunc {
	l := &look{at: func(ctx context.Context) []Reason {
		if err := p.Live(ctx); err != nil {
			return []Reason{{What: "stuck", Text: err.Error()}}
		}
		return nil
	}}
	return healthOf(l.reasons, "ok", "stuck")
}

// healthOf is 200 as long as there are no reasons against it.
func healthOf(reasons func(context.Context) []Reason, good, bad string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, is := http.StatusOK, health{Status: good, Reasons: reasons(r.Context())}
		if len(is.Reasons) > 0 {
			status, is.Status = http.StatusServiceUnavailable, bad
		}
		answer(w, status, is)
	}
}

// look is a look at the program, which asks Redis: one for all who want it at the same
// time, so that a flood of probes is no flood of PINGs.
type look struct {
	at func(context.Context) []Reason

	mu   sync.Mutex
	last *glance // nil: there was none
}

// glance is one look. Its reasons may be read when it is done.
type glance struct {
	began   time.Time
	done    chan struct{}
	ended   time.Time
	reasons []Reason
}

// reasons is what the look of the moment finds, or why nobody waits for it any longer.
func (l *look) reasons(ctx context.Context) []Reason {
	g := l.glance()
	if g.isDone() {
		return g.reasons
	}
	late := time.NewTimer(time.Until(g.began.Add(lookLimit)))
	defer late.Stop()
	select {
	case <-g.done:
		return g.reasons
	case <-late.C:
		return []Reason{{What: "slow", Text: fmt.Sprintf("there was no answer within %v", lookLimit)}}
	case <-ctx.Done(): // nobody reads it
		return []Reason{{What: "slow", Text: ctx.Err().Error()}}
	}
}

// glance is a look that is under way or holds still, or a new one.
func (l *look) glance() *glance {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || l.last.over() {
		l.last = &glance{began: time.Now(), done: make(chan struct{})}
		// Not with the context of who asks first: others wait for the same.
		go l.last.look(l.at)
	}
	return l.last
}

// isDone reports whether the look has ended.
func (g *glance) isDone() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}

// over reports whether its answer is too old to be given to anybody else.
func (g *glance) over() bool { return g.isDone() && time.Since(g.ended) > lookHolds }

// look ends by itself, at lookTimeout.
func (g *glance) look(at func(context.Context) []Reason) {
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	defer close(g.done)
	defer func() {
		if v := recover(); v != nil { // whoever looks must not end what is looked at
			g.reasons = []Reason{{What: "panic", Text: fmt.Sprint(v)}}
		}
		g.ended = time.Now()
	}()
	g.reasons = redacted(at(ctx))
}

// redacted are reasons that anybody may be told.
func redacted(reasons []Reason) []Reason {
	told := make([]Reason, len(reasons))
	for i, reason := range reasons {
		told[i] = Reason{What: reason.What, Text: redact(reason.Text)}
	}
	return told
}
