package daemon

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"signalbox/router"
	"signalbox/router/internal/wording"
	"signalbox/router/routesfile"
	"signalbox/router/routesfile/condition"
)

// where is the condition of --where, and which events it could not be asked about: who
// sees nothing would take those for events that don't match.
type where struct {
	text     string
	compiler *condition.Compiler
	holds    router.Condition
	notes    io.Writer // told at once about the first event; nil: not before the end

	mu              sync.Mutex
	missing, failed doubt
}

// doubt counts events that a condition has no answer for.
type doubt struct {
	events int64
	first  string // why
}

// newWhere compiles a condition as those of routes are.
func newWhere(text, service string) (*where, error) {
	compiler, err := condition.NewCompiler(service)
	if err != nil {
		return nil, err
	}
	holds, err := compiler.CompileStrict(text)
	if err != nil {
		return nil, &UsageError{errors.New(routesfile.MistakeIn("--where", text, err).Show())}
	}
	return &where{text: text, compiler: compiler, holds: holds}, nil
}

// has reports whether the condition is true of an event.
func (w *where) has(e *router.Event) bool {
	yes, err := w.holds(e)
	if err != nil {
		w.doubt(e, err)
	}
	return yes
}

func (w *where) doubt(e *router.Event, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := &w.failed
	if errors.Is(err, condition.ErrMissing) {
		d = &w.missing
	}
	if d.events++; d.events > 1 {
		return
	}
	d.first = printable(fmt.Sprintf("%s (type %s on %s)", w.why(e, err), firstRunes(e.Type, wordWidth), e.Channel))
	if w.notes != nil {
		fmt.Fprintf(w.notes, "--where passes over an event: %s\n", d.first)
	}
}

// why is what is missing, which only the slower way of asking tells.
func (w *where) why(e *router.Event, err error) string {
	if !errors.Is(err, condition.ErrMissing) {
		return err.Error()
	}
	answer, failed := w.compiler.Explain(w.text, e)
	if failed != nil || answer.Values == "" {
		return err.Error()
	}
	return answer.Values
}

// passedOver is how many events have no answer.
func (w *where) passedOver() int64 {
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.missing.events + w.failed.events
}

// summary says at the end which events were not shown for lack of an answer, unless that
// was told already.
func (w *where) summary(out io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range []struct {
		doubt
		what string
	}{{w.missing, "because a member is missing"}, {w.failed, "because it cannot be evaluated"}} {
		if d.events > 1 || d.events == 1 && w.notes == nil {
			fmt.Fprintf(out, "--where passed over %s %s; the first: %s\n", wording.Several(d.events, "event", "events"), d.what, d.first)
		}
	}
}
