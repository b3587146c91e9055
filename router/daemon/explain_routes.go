package daemon

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"signalbox/router"
	"signalbox/router/internal/nearest"
	"signalbox/router/routesfile/condition"
)

// explained is what becomes of one event, as `explain -o json` prints it.
type explained struct {
	Channel   string `json:"channel"`
	Transport string `json:"transport"`
	Name      string `json:"name"` // in Redis
	Type      string `json:"type,omitempty"`
	ID        string `json:"id,omitempty"`
	Key       string `json:"key,omitempty"`
	Source    string `json:"source,omitempty"`
	Time      string `json:"time,omitempty"`
	Age       string `json:"age,omitempty"`
	Data      string `json:"data,omitempty"` // "unknown" where only the type was given
	// Rejected says why the message is no event, and Cause the same in a word.
	Rejected string           `json:"rejected,omitempty"`
	Cause    string           `json:"cause,omitempty"`
	Note     string           `json:"note,omitempty"`
	Matches  int              `json:"matches"`
	Unknown  int              `json:"unknown"`
	Routes   []explainedRoute `json:"routes"`
	// Outcome is what becomes of it when it reaches no route.
	Outcome string `json:"outcome,omitempty"`
}

// The results of a route, and of a clause.
const (
	resultMatch   = "match"
	resultNo      = "no_match"
	resultUnknown = "unknown"
	resultFails   = "fails" // the condition cannot be evaluated
	resultOff     = "off"
)

// explainedRoute is whether a route takes the event. Clauses end with the one that
// decided.
type explainedRoute struct {
	Route   string   `json:"route"`
	Handler string   `json:"handler"`
	Kind    string   `json:"kind,omitempty"`
	At      string   `json:"at,omitempty"`
	Result  string   `json:"result"`
	Clauses []clause `json:"clauses,omitempty"`
	Policy  string   `json:"policy,omitempty"`
}

// clause is one thing that a route asks.
type clause struct {
	Clause string `json:"clause"`
	Result string `json:"result"`
	Text   string `json:"text"`
}

// explainer explains the messages of one channel.
type explainer struct {
	opts       Options // as they were given
	program    *program
	config     router.Config
	channel    router.Channel
	now        time.Time
	kinds      map[string]string // by handler
	conditions *condition.Compiler
	nameless   bool // the service's name is not known
}

func newExplainer(opts Options, p *program, ch router.Channel) (*explainer, error) {
	e := &explainer{opts: opts, program: p, config: p.loaded.Config, channel: ch, now: time.Now(), kinds: map[string]string{}}
	for _, h := range slices.Concat(e.config.Handlers, p.loaded.Idle) {
		e.kinds[h.Name] = h.Kind
	}
	for _, note := range p.loaded.Notes {
		e.nameless = e.nameless || slices.Equal(note.Skipped, []string{"service", "name"})
	}
	var err error
	e.conditions, err = condition.NewCompiler(e.config.Service)
	return e, err
}

// explain asks every route of the channel.
func (e *explainer) explain(s subject) explained {
	one := e.about()
	one.Type, one.ID, one.Key, one.Age = s.Type, s.ID, s.Key, s.age(e.now)
	one.Note = e.undeclared(s.Type)
	if s.Name != "" && s.Name != e.channel.Topic {
		one.Name = s.Name
	}
	if !slices.Contains(s.unknown, "source") {
		one.Source = s.Source
	}
	if slices.Contains(s.unknown, "data") {
		one.Data = resultUnknown
	}
	one.Time = s.Time.UTC().Format(time.RFC3339Nano)
	typed := false // some route takes the type
	for _, r := range e.config.Routes {
		if r.Channel != e.channel.Name {
			continue
		}
		route := e.route(r, s)
		typed = typed || len(route.Clauses) > 1 || route.Result != resultNo
		switch route.Result {
		case resultMatch:
			one.Matches++
		case resultUnknown:
			one.Unknown++
		}
		one.Routes = append(one.Routes, route)
	}
	if len(one.Routes) == 0 {
		one.Outcome = "the channel has no route that is on: nothing reads it"
	} else if !typed && router.OfSource(s.Type) {
		one.Outcome = "no route takes this type, and none has to: it is what the holder of a source says of itself"
	} else if !typed {
		one.Outcome = "no route takes this type: the event is counted as unmatched" + e.kept(e.channel.KeepUnmatched)
	}
	for _, off := range e.program.loaded.Off {
		if off.Channel == e.channel.Name {
			one.Routes = append(one.Routes, explainedRoute{
				Route: off.Name, Handler: off.Handler, Kind: e.kinds[off.Handler], At: off.At, Result: resultOff,
				Clauses: []clause{{"enabled", resultOff, "off: enabled = false"}},
			})
		}
	}
	return one
}

func (e *explainer) about() explained {
	return explained{Channel: e.channel.Name, Transport: string(e.channel.Transport), Name: e.channel.Topic, Routes: []explainedRoute{}}
}

// rejection explains a message that is no event.
func (e *explainer) rejection(err error) explained {
	one := e.about()
	one.Rejected = err.Error()
	if m, ok := router.AsMalformed(err); ok {
		one.Cause = string(m.Cause)
	}
	one.Outcome = "the message is no event: it reaches no route, and is counted as rejected" + e.kept(true)
	return one
}

// nothing explains a message that is neither an event nor none.
func (e *explainer) nothing() explained {
	one := e.about()
	one.Outcome = "the message is an array without elements: it holds no event"
	return one
}

// kept says where the channel keeps what reached no route, if it does.
func (e *explainer) kept(asked bool) string {
	if to, ok := e.config.DeadLettersOf(router.Route{Channel: e.channel.Name}); ok && asked {
		return fmt.Sprintf(" and kept in %s", to.Topic)
	}
	return ""
}

// undeclared says that the channel declares other types. A router carries it all the same.
func (e *explainer) undeclared(typ string) string {
	types := e.channel.Types
	if len(types) == 0 || slices.Contains(types, typ) || strings.HasPrefix(typ, router.OwnPrefix) {
		return ""
	}
	hint := "its types: " + strings.Join(types, ", ")
	if near, ok := nearest.Name(typ, types); ok {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Sprintf("the channel does not declare type %q; %s (publish refuses it; what others send is carried)", typ, hint)
}

// route asks a route for its clauses, up to the first that is not true.
func (e *explainer) route(r router.Route, s subject) explainedRoute {
	written := e.program.loaded.Written(r.Channel, r.Name)
	one := explainedRoute{
		Route: r.Name, Handler: r.Handler, Kind: e.kinds[r.Handler],
		At: written.At, Policy: e.policy(r), Result: resultMatch,
	}
	unsure := written.Unsure || e.nameless && strings.Contains(r.WhenText, "service")
	if unsure {
		one.Result = resultUnknown
		one.Clauses = []clause{{"route", resultUnknown, "a value of this route was skipped; see the note"}}
		return one
	}
	for _, ask := range []func(router.Route, subject) clause{e.byType, e.byCondition, e.byAge, e.byDedupe} {
		c := ask(r, s)
		if c.Clause == "" {
			continue // the route doesn't ask that
		}
		one.Clauses = append(one.Clauses, c)
		switch c.Result {
		case resultNo, resultFails:
			one.Result = c.Result
			return one
		case resultUnknown:
			one.Result = resultUnknown
		}
	}
	return one
}
