package router

import (
	"context"
	"strings"
)

// The members of a message that hold its trace context, on every channel: the extension
// of CloudEvents for distributed tracing, whose values are those of W3C Trace Context.
const (
	traceParentField = "traceparent"
	traceStateField  = "tracestate"
)

const (
	// traceParentBytes is the length of 00-<trace id>-<parent id>-<flags>.
	traceParentBytes = 55
	// maxTrace is how long either value may be: as long as every system should pass on, by
	// the specification. A stranger's value becomes a header and a variable.
	maxTrace      = 512
	maxTraceWord  = 256 // of a key or value in a tracestate
	maxTraceState = 32  // members of a tracestate
)

// TraceID is the id of the trace that the event is part of, 32 hexadecimal digits, or
// empty.
func (e *Event) TraceID() string {
	if !isTraceParent(e.TraceParent) {
		return ""
	}
	return e.TraceParent[3:35]
}

// traceContext returns what is valid of a trace context. Without a traceparent that is,
// there is none.
func traceContext(parent, state string) (validParent, validState string) {
	switch {
	case !isTraceParent(parent):
		return "", ""
	case !isTraceState(state):
		return parent, ""
	default:
		return parent, state
	}
}

// traceFor is the trace context of an event that is published: its own or, where it has
// none that is valid, that of the event which ctx belongs to.
func traceFor(ctx context.Context, event *Event) (parent, state string) {
	parent, state = traceContext(event.TraceParent, event.TraceState)
	if cause := EventFrom(ctx); parent == "" && cause != nil {
		return traceContext(cause.TraceParent, cause.TraceState)
	}
	return parent, state
}

// isTraceParent reports whether a text is a traceparent. Of a version that is not known
// yet, only the beginning is, and the rest is passed on.
func isTraceParent(s string) bool {
	if len(s) < traceParentBytes || len(s) > maxTrace {
		return false
	}
	for i := range traceParentBytes {
		switch c := s[i]; i {
		case 2, 35, 52:
			if c != '-' {
				return false
			}
		default:
			if !isDigit(c) && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	version, trace, parent, rest := s[:2], s[3:35], s[36:52], s[traceParentBytes:]
	switch {
	case version == "ff", strings.Trim(trace, "0") == "", strings.Trim(parent, "0") == "":
		return false
	case version == "00" || rest == "":
		return rest == ""
	default:
		return rest[0] == '-' && isVisible(rest) && strings.IndexByte(rest, ' ') < 0
	}
}

// isTraceState reports whether a text is a tracestate: a list of key=value.
func isTraceState(s string) bool {
	if len(s) > maxTrace {
		return false
	}
	members := 0
	for member := range strings.SplitSeq(s, ",") {
		if member = strings.Trim(member, " \t"); member == "" {
			continue // which is allowed
		}
		members++
		key, value, _ := strings.Cut(member, "=")
		if !isTraceKey(key) || value == "" || len(value) > maxTraceWord || !isVisible(value) || strings.IndexByte(value, '=') >= 0 {
			return false
		}
	}
	return 0 < members && members <= maxTraceState
}

func isTraceKey(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isDigit(c) && (c < 'a' || c > 'z') && (i == 0 || strings.IndexByte("_-*/@", c) < 0) {
			return false
		}
	}
	return s != "" && len(s) <= maxTraceWord
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isVisible reports whether a text has nothing but ASCII that can be seen, and spaces.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// eventAttrs is what a log line says of an event, and more.
func eventAttrs(event *Event, more ...any) []any {
	attrs := append(make([]any, 0, 8+len(more)), "channel", event.Channel, "type", clip(event.Type), "id", clip(event.ID))
	if trace := event.TraceID(); trace != "" {
		attrs = append(attrs, "trace_id", trace)
	}
	return append(attrs, more...)
}
