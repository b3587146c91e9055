package transport

import (
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// The fields of an entry that is a dead letter tried again.
const (
	replayGroup = "signalbox_group"
	replayRoute = "signalbox_route"
	replayCount = "signalbox_replays"
	replayID    = "signalbox_id"
	replayTime  = "signalbox_time"
)

// ReplayFields is what the entry of a dead letter that is tried again says beside the
// message, for a [StreamPublisher].
func ReplayFields(r batch.Replay) message.Metadata {
	fields := message.Metadata{replayGroup: r.Group, replayCount: strconv.Itoa(r.Count)}
	if r.Route != "" {
		fields[replayRoute] = r.Route
	}
	if r.ID != "" {
		fields[replayID] = r.ID
	}
	if !r.Time.IsZero() {
		fields[replayTime] = r.Time.UTC().Format(time.RFC3339Nano)
	}
	return fields
}

// replayOf reads what ReplayFields wrote; nil when the entry is no dead letter.
func replayOf(fields []string) *batch.Replay {
	group, times := lookUp(fields, replayGroup)
	if times == 0 {
		return nil
	}
	r := &batch.Replay{Group: group}
	r.Route, _ = lookUp(fields, replayRoute)
	r.ID, _ = lookUp(fields, replayID)
	count, _ := lookUp(fields, replayCount)
	r.Count, _ = strconv.Atoi(count) // what is no number is none
	at, _ := lookUp(fields, replayTime)
	r.Time, _ = time.Parse(time.RFC3339Nano, at) // likewise
	return r
}
