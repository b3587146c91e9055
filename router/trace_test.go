package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"signalbox/router/transport"
)

const (
	aTrace  = "0af7651916cd43dd8448eb211c80319c"
	aParent = "00-" + aTrace + "-b7ad6b7169203331-01"
	aState  = "congo=t61rcWkgMzE,rojo@a-b=00f067aa0ba902b7"
)

func TestTraceParents(t *testing.T) {
	t.Parallel()
	const ids = aTrace + "-b7ad6b7169203331"
	for text, want := range map[string]bool{
		aParent:             true,
		"00-" + ids + "-00": true,
		"00-" + ids + "-ff": true,
		"00-00000000000000000000000000000001-0000000000000001-00": true,

		// Of a version to come, only the beginning is known.
		"01-" + ids + "-01":                                     true,
		"fe-" + ids + "-01":                                     true,
		"cc-" + ids + "-01-what-$!":                             true,
		"01-" + ids + "-01-":                                    true,
		"01-" + ids + "-01.what":                                false,
		"01-" + ids + "-01-a b":                                 false,
		"01-" + ids + "-01-a\nb":                                false,
		"01-" + ids + "-01-é":                                   false,
		"01-" + ids + "-01-\xff":                                false,
		"01-" + ids + "-01-\x7f":                                false,
		"01-" + ids + "-01-" + strings.Repeat("a", maxTrace-56): true,
		"01-" + ids + "-01-" + strings.Repeat("a", maxTrace-55): false,

		"": false, "-": false, "00": false, "00-": false, aTrace: false,
		strings.Repeat("-", 55): false,
		"00-" + ids:             false,
		"00-" + ids + "-0":      false,
		"00-" + ids + "-011":    false,
		"00-" + ids + "-01-":    false,
		"00-" + ids + "-01-00":  false,
		" 00-" + ids + "-01":    false,
		"00-" + ids + "-01 ":    false,
		"00-" + ids + "-01\n":   false,
		"ff-" + ids + "-01":     false,
		"FE-" + ids + "-01":     false,
		"0g-" + ids + "-01":     false,
		"00_" + ids + "-01":     false,
		"00-" + ids + "_01":     false,
		"00-" + ids + "-0G":     false,
		"00-" + ids + "-0A":     false,
		"00-" + strings.ToUpper(aTrace) + "-b7ad6b7169203331-01":            false,
		"00-" + aTrace + "-B7AD6B7169203331-01":                             false,
		"00-" + aTrace[1:] + "--b7ad6b7169203331-01":                        false,
		"00-" + aTrace[:31] + "-b7ad6b71692033311-01":                       false,
		"00-" + aTrace[:30] + "é-b7ad6b7169203331-01":                       false,
		"00-" + aTrace[:15] + "\x00" + aTrace[16:] + "-b7ad6b7169203331-01": false,
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01":            false,
		"00-" + aTrace + "-0000000000000000-01":                             false,
		strings.Repeat("0", 1<<16):                                          false,
	} {
		e := Event{TraceParent: text}
		id := ""
		if want {
			id = text[3:35]
		}
		if got := isTraceParent(text); got != want || e.TraceID() != id {
			t.Errorf("%.80q: %t with the id %q", text, got, e.TraceID())
		}
	}
}

func TestTraceStates(t *testing.T) {
	t.Parallel()
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat("a=1,", n), ",") }
	for text, want := range map[string]bool{
		aState:                               true,
		"a=1":                                true,
		"0=1":                                true,
		"a_-*/@z=1":                          true,
		"a=a b":                              true,
		"a= !#~":                             true,
		" a=1 ,\tb=2 ":                       true,
		"a=1,,b=2,":                          true,
		"tenant@vendor=v":                    true,
		many(32):                             true,
		"a=" + strings.Repeat("v", 256):      true,
		"" + strings.Repeat("k", 256) + "=v": true,

		"": false, ",": false, " ": false, "a": false, "a=": false, "=1": false, "a =1": false, "A=1": false,
		"@a=1": false, "-a=1": false, "é=1": false, "a=é": false, "a=b=c": false, "a=\xff": false, "a=1;b": true,
		"a=1\r\nEvil: yes": false, "a=1\nb=2": false, "a=\x00": false, "a=1\x7f": false, "a=x\ty": false,
		many(33):                        false,
		"a=" + strings.Repeat("v", 257): false,
		strings.Repeat("k", 257) + "=v": false,
		"a=" + strings.Repeat("v", 200) + ",b=" + strings.Repeat("v", 200) + ",c=" + strings.Repeat("v", 200): false,
	} {
		if got := isTraceState(text); got != want {
			t.Errorf("%.80q: %t", text, got)
		}
	}
}

// An event has the trace context that its message has, if that is one. What is none, or
// stands twice, never rejects the message: see W3C Trace Context.
func TestDecodeTrace(t *testing.T) {
	t.Parallel()
	const parent, state = `"traceparent":"` + aParent + `"`, `"tracestate":"` + aState + `"`
	for message, want := range map[string][2]string{
		`{"type":"a"}`:                {},
		`{"type":"a",` + parent + `}`: {aParent, ""},
		`{` + state + `,` + parent + `,"type":"a","data":{}}`:          {aParent, aState},
		`{"type":"a","\u0074raceparent":"\u00300` + aParent[2:] + `"}`: {aParent, ""},

		`{"type":"a",` + state + `}`:                                            {},
		`{"type":"a","data":{` + parent + `}}`:                                  {},
		`{"type":"a","Traceparent":"` + aParent + `"}`:                          {},
		`{"type":"a","traceparent":"nonsense",` + state + `}`:                   {},
		`{"type":"a","traceparent":null,` + state + `}`:                         {},
		`{"type":"a","traceparent":{` + parent + `},` + state + `}`:             {},
		`{"type":"a","traceparent":["` + aParent + `"],` + state + `}`:          {},
		`{"type":"a","traceparent":12345,` + state + `}`:                        {},
		`{"type":"a",` + parent + `,"tracestate":7}`:                            {aParent, ""},
		`{"type":"a",` + parent + `,"tracestate":"a=1\r\nEvil: yes"}`:           {aParent, ""},
		`{"type":"a",` + parent + `,"tracestate":""}`:                           {aParent, ""},
		`{"type":"a",` + parent + `,` + parent + `,` + state + `}`:              {},
		`{"type":"a",` + parent + `,"x":1,"tracepar\u0065nt":0,` + parent + `}`: {},
		`{"type":"a",` + parent + `,` + state + `,` + state + `}`:               {aParent, ""},
	} {
		events, err := decode(Channel{Name: "in"}, message)
		if err != nil || len(events) != 1 {
			t.Errorf("%s: %v", message, err)
			continue
		}
		if e := events[0]; e.TraceParent != want[0] || e.TraceState != want[1] || string(e.Msg) != message {
			t.Errorf("%s: %q and %q, want %q", e.Msg, e.TraceParent, e.TraceState, want)
		}
	}
}

// The members have their names on every channel; and where such a name is that of another
// field as well, it must not stand twice.
func TestDecodeTraceOfOtherLayouts(t *testing.T) {
	t.Parallel()
	feed := Channel{Name: "in", Fields: Fields{Type: "e", Split: "."}}
	events, err := decode(feed, `[{"e":"a","traceparent":"`+aParent+`"},{"e":"b"}]`)
	if err != nil || len(events) != 2 || events[0].TraceID() != aTrace || events[1].TraceID() != "" {
		t.Errorf("%+v, %v", events, err)
	}
	for _, path := range []string{"traceparent", "traceparent.x"} {
		_, err := decode(Channel{Name: "in", Fields: Fields{Key: path}}, `{"type":"a","traceparent":{"x":1},"traceparent":{"x":2}}`)
		if m, ok := AsMalformed(err); !ok || m.Cause != CauseTwice {
			t.Errorf("key_field %s: %v", path, err)
		}
	}
	events, err = decode(Channel{Name: "in", Fields: Fields{Key: "traceparent"}}, `{"type":"a","traceparent":"`+aParent+`"}`)
	if err != nil || events[0].Key != aParent || events[0].TraceID() != aTrace {
		t.Errorf("%+v, %v", events, err)
	}
}

// traced is the context of a handler that has an event in hand which came with a trace.
func traced(t *testing.T, parent, state string) context.Context {
	t.Helper()
	d := newDelivery(t.Context(), nil, nil)
	d.event = Event{Type: "cause", TraceParent: parent, TraceState: state}
	return d.attempt(t.Context())
}

// last is the message that was sent last, or nothing.
func (w *wire) last() string {
	if len(w.msgs) == 0 {
		return ""
	}
	return string(w.msgs[len(w.msgs)-1].Payload)
}

func TestPublishContinuesATrace(t *testing.T) {
	t.Parallel()
	const otherParent = "00-11111111111111111111111111111111-2222222222222222-00"
	const head = `{"id":"7","type":"a","source":"s","time":"2026-01-02T03:04:05Z"`
	const both = `"traceparent":"` + aParent + `","tracestate":"` + aState + `"}`
	closed := map[string]Schema{"a": {Check: func(msg []byte) error {
		if strings.Contains(string(msg), "trace") {
			return errors.New("additional property")
		}
		return nil
	}}}
	for name, tc := range map[string]struct {
		channel Channel
		cause   [2]string
		event   Event
		want    string
	}{
		"of the event in hand":  {Channel{}, [2]string{aParent, aState}, Event{}, head + `,` + both},
		"without a state":       {Channel{}, [2]string{aParent, ""}, Event{Data: json.RawMessage(`1`)}, head + `,"data":1,"traceparent":"` + aParent + `"}`},
		"none":                  {Channel{}, [2]string{}, Event{}, head + `}`},
		"no valid one":          {Channel{}, [2]string{"00-", aState}, Event{}, head + `}`},
		"of its own":            {Channel{}, [2]string{aParent, aState}, Event{TraceParent: otherParent}, head + `,"traceparent":"` + otherParent + `"}`},
		"of its own, with none": {Channel{}, [2]string{}, Event{TraceParent: aParent, TraceState: aState}, head + `,` + both},
		"of its own, invalid":   {Channel{}, [2]string{aParent, aState}, Event{TraceParent: "x\r\n", TraceState: "x"}, head + `,` + both},
		"of its own, half":      {Channel{}, [2]string{}, Event{TraceParent: aParent, TraceState: "x"}, head + `,"traceparent":"` + aParent + `"}`},
		"a whole message":       {Channel{}, [2]string{aParent, aState}, Event{Msg: json.RawMessage(`{"type":"a"}`)}, `{"type":"a"}`},
		"a feed":                {Channel{Fields: Fields{Type: "e"}}, [2]string{aParent, aState}, Event{Data: json.RawMessage(`{ "p":1 }`)}, `{ "p":1 ,"e":"a",` + both},
		"a feed that has one": {
			Channel{Fields: Fields{Type: "e"}},
			[2]string{aParent, aState},
			Event{Data: json.RawMessage(`{"traceparent":"mine"}`)},
			`{"traceparent":"mine","e":"a"}`,
		},
		"a feed that has half of one": {
			Channel{Fields: Fields{Type: "e"}},
			[2]string{aParent, aState},
			Event{Data: json.RawMessage(`{"tracestate":"mine"}`)},
			`{"tracestate":"mine","e":"a"}`,
		},
		"a key of that name": {
			Channel{Fields: Fields{Key: "traceparent"}},
			[2]string{aParent, aState},
			Event{Key: "k"},
			head + `,"traceparent":"k"}`,
		},
		"a schema that is closed": {Channel{Schemas: closed}, [2]string{aParent, aState}, Event{}, head + `}`},
		"no room":                 {Channel{Fields: Fields{MaxBytes: 80}}, [2]string{aParent, aState}, Event{}, head + `}`},
	} {
		w := &wire{}
		tc.channel.Name = "out"
		event := tc.event
		if event.Msg == nil {
			event.ID, event.Type, event.Source, event.Time = "7", "a", "s", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		}
		ctx, cancel := context.WithTimeout(traced(t, tc.cause[0], tc.cause[1]), time.Minute)
		err := publisherTo(w, tc.channel).Publish(ctx, "out", event)
		cancel()
		if err != nil || w.last() != tc.want {
			t.Errorf("%s: %v, %s\nwant %s", name, err, w.last(), tc.want)
		}
	}
	w := &wire{}
	if err := publisherTo(w, Channel{Name: "out"}).Publish(t.Context(), "out", Event{Type: "a"}); err != nil || w.last() == "" || strings.Contains(w.last(), "trace") {
		t.Errorf("without any event in hand: %v, %s", err, w.last())
	}
	// What is wrong without a trace is the error.
	err := publisherTo(w, Channel{Name: "out", Schemas: map[string]Schema{"a": {Check: func([]byte) error { return errors.New("never") }}}}).Publish(traced(t, aParent, ""), "out", Event{Type: "a"})
	if err == nil || !IsPermanent(err) || !strings.Contains(err.Error(), "never") {
		t.Error(err)
	}
}

// A handler that publishes with the context it was given need not know of traces.
func TestHandlersContinueATrace(t *testing.T) {
	t.Parallel()
	w := &wire{}
	publisher := publisherTo(w, Channel{Name: "out"})
	tries := 0
	r := start(t, under(Policy{Retry: Retry{Attempts: 2, Backoff: time.Millisecond}}, HandlerFunc(func(ctx context.Context, e *Event) error {
		if tries++; tries == 1 {
			return errors.New("not yet")
		}
		return publisher.Publish(ctx, "out", Event{Type: "answer", ID: e.ID})
	})), Options{})
	r.await(t, r.send(t, `{"type":"a","id":"1","traceparent":"`+aParent+`","tracestate":"`+aState+`"}`, `{"type":"a","id":"2"}`))
	for i, want := range []string{aTrace, ""} {
		events, err := decode(Channel{Name: "out"}, string(w.msgs[i].Payload))
		if err != nil || events[0].TraceID() != want || (events[0].TraceState == aState) != (want != "") {
			t.Errorf("%s: %v", w.msgs[i].Payload, err)
		}
	}
}

func TestForwardKeepsATrace(t *testing.T) {
	t.Parallel()
	w := &wire{}
	const text = `{"traceparent" : "` + aParent + `","type":"a"}`
	event := &Event{Type: "a", Msg: json.RawMessage(text)}
	if errs := publisherTo(w, Channel{Name: "out"}).Forward(traced(t, "00-11111111111111111111111111111111-2222222222222222-00", ""), "out", []*Event{event}); errs != nil || w.last() != text {
		t.Errorf("%v, %s", errs, w.last())
	}
}

// Each line about an event has the id of its trace if, and only if, it is part of one.
func TestLogsTellTheTrace(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	verdicts := map[string]error{"bad": Permanent(boom), "ugly": boom}
	calls := map[string]int{}
	cfg := onStream(HandlerFunc(func(_ context.Context, e *Event) error {
		if calls[e.ID]++; calls[e.ID] == 1 && e.Type == "away" {
			return Unavailable(boom, time.Millisecond)
		}
		return verdicts[e.Type]
	}))
	cfg.Routes[0].Types = []string{"good", "bad", "ugly", "away", "odd"}
	cfg.Routes[0].Policy = Policy{Retry: Retry{Attempts: 2, Backoff: time.Millisecond}, Dedupe: DedupePolicy{Window: time.Minute}}
	cfg.Routes[0].When = func(e *Event) (bool, error) {
		if e.Type == "odd" {
			return false, boom
		}
		return true, nil
	}
	kept := &shelf{}
	r := start(t, cfg, Options{Publisher: kept.open, Dedupe: &transport.MemoryDedupe{}})
	for i, typ := range []string{"good", "bad", "ugly", "away", "odd", "unknown", "good"} {
		r.await(t, r.send(t, fmt.Sprintf(`{"type":%q,"id":"t%d","traceparent":%q}`, typ, i%6, aParent)))
		r.await(t, r.send(t, fmt.Sprintf(`{"type":%q,"id":"n%d"}`, strings.Replace(typ, "unknown", "strange", 1), i%6)))
	}
	for _, msg := range []string{"handled", "handler failed", "attempt failed", "target is away; the event waits", "condition failed", "no route takes this type", "duplicate"} {
		with := 0
		for _, line := range r.logs.lines(t, slog.LevelDebug, msg) {
			id, _ := line["id"].(string)
			trace, has := line["trace_id"]
			if has {
				with++
			}
			if has != strings.HasPrefix(id, "t") || has && trace != aTrace || line["channel"] != "in" || line["type"] == nil {
				t.Errorf("%v", line)
			}
		}
		if with == 0 {
			t.Errorf("no line %q has a trace id", msg)
		}
	}
	for _, letter := range kept.kept() {
		id, trace := letter.Metadata.Get("id"), letter.Metadata.Get("trace_id")
		if (trace == aTrace) != strings.HasPrefix(id, "t") || strings.Contains(string(letter.Payload), "traceparent") != (trace != "") {
			t.Errorf("letter of %s: %v", id, letter.Metadata)
		}
	}
}

// The event that tells of a dead letter continues the trace of what died.
func TestOwnEventContinuesATrace(t *testing.T) {
	t.Parallel()
	cfg, own := listening(Stream, HandlerFunc(func(context.Context, *Event) error { return Permanent(errors.New("no")) }))
	kept := &shelf{}
	r := start(t, cfg, Options{Publisher: kept.open})
	r.await(t, r.send(t, `{"type":"a","traceparent":"`+aParent+`","tracestate":"`+aState+`"}`))
	e := receive(t, "an own event", own.events)
	if e.TraceParent != aParent || e.TraceState != aState || !strings.Contains(string(e.Msg), `"traceparent":"`+aParent+`","tracestate":"`+aState+`"`) {
		t.Errorf("%+v: %s", e, e.Msg)
	}
}
