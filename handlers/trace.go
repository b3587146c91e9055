package handlers

import "signalbox/router"

// The trace context of an event: attributes of a CloudEvent and, called the same by W3C
// Trace Context, fields of a request's header.
const (
	traceParent = "traceparent"
	traceState  = "tracestate"
)

// eventAttrs is what a log line says of the event that it is about, and more.
func eventAttrs(event *router.Event, more ...any) []any {
	attrs := []any{"id", oneLine(event.ID)}
	if trace := event.TraceID(); trace != "" {
		attrs = append(attrs, "trace_id", trace)
	}
	return append(attrs, more...)
}

// eachTrace calls do with what an event has of a trace context.
func eachTrace(event *router.Event, do func(name, value string)) {
	if event.TraceID() == "" {
		return
	}
	do(traceParent, event.TraceParent)
	if event.TraceState != "" {
		do(traceState, event.TraceState)
	}
}
