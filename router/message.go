package router

import "time"

// Message is a message as it arrived.
type Message struct {
	Payload []byte
	Name    string    // the Redis name it came on
	ID      string    // of the stream entry; may be empty
	Time    time.Time // of the entry, or of the arrival
	Twice   string    // the field of the entry that should be the message and stands twice; empty: none
}

// Decode turns one message of a channel into the event it is, or into the events of
// the array it holds. With an error, which is or joins [*Malformed] errors, it still
// returns those elements of an array that are events.
//
// It is for looking at messages; a router decodes by [DecodeJSON].
func Decode(ch Channel, m Message) ([]Event, error) {
	return newDecoder(ch).events(m)
}
