package transport

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// DecodeEntry returns the message that a stream entry carries, and the time of its
// id, as a subscription would deliver them. It is for looking at streams.
func DecodeEntry(entry redis.XMessage) (payload []byte, at time.Time) {
	return entryPayload(entry.Values), entryTime(entry.ID)
}
