package transport

// arrival is a Pub/Sub message that waits.
type arrival struct {
	topic   string
	payload []byte
	at      int64 // Unix time in ns
}

// Bytes is what counts of it for the limit of a queue.
func (a arrival) Bytes() int { return len(a.payload) }

// arrivalKey reads keys of arrivals by the reader of a channel; nil where that is nil.
func arrivalKey(read func(topic string, payload []byte) string) func(arrival) string {
	if read == nil {
		return nil
	}
	return func(a arrival) string { return read(a.topic, a.payload) }
}
