package transport

import (
	"reflect"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// What a replayed dead letter says of itself arrives with its message.
func TestReplayFields(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	makeGroup(t, server.Client())
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
	for _, want := range []batch.Replay{
		{Group: "bot", Route: "save", Count: 3, ID: "7", Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)},
		{Group: "other"},
	} {
		msg := message.NewMessage("uuid", []byte(`{"type":"a"}`))
		msg.Metadata = ReplayFields(want)
		if err := n.StreamPublisher(10).Publish("work", msg); err != nil {
			t.Fatal(err)
		}
		item := take(t, messages)[0]
		if item.Replay == nil || !reflect.DeepEqual(*item.Replay, want) || string(item.Payload) != `{"type":"a"}` {
			t.Errorf("%+v became %+v with %s", want, item.Replay, item.Payload)
		}
		item.Owner.Done(item)
	}
	xadd(t, server.Client(), "plain")
	if item := take(t, messages)[0]; item.Replay != nil {
		t.Errorf("a plain entry is %+v", item.Replay)
	}
}
