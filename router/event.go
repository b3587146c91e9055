package router

import (
	"encoding/json"
	"time"
)

// Event is one decoded message. Handlers share it, so none may change it or the
// bytes it points to.
type Event struct {
	// ID is the message's own id, else the stream entry's, else a new UUIDv7.
	ID string
	// Type is what routes select by; never empty.
	Type string
	// Source is the message's "source", or empty.
	Source string
	// Time is the message's own time, else the stream entry's, else its arrival.
	Time time.Time
	// Key groups events that must stay in order, for example a symbol; may be empty.
	Key string
	// Channel is the declared name of the channel the event came on.
	Channel string
	// Name is the Redis name it came on. It differs from Channel when the channel
	// declares a name or a pattern.
	Name string
	// Data is the message's "data" member, or the whole message where it has none.
	Data json.RawMessage
	// Msg is the whole message as it was received.
	Msg json.RawMessage
	// TraceParent and TraceState are the message's trace context, as W3C Trace Context
	// has it, or empty: what is not valid, or stands twice, is none. See [Event.TraceID].
	TraceParent, TraceState string
	// Replayed says that the event was kept and happened earlier: a channel with
	// [StartLatest] begins with such events.
	Replayed bool

	seq sequence
}
