package daemon

import (
	"slices"
	"testing"
	"time"

	"signalbox/router"
	"signalbox/router/ops"
	"signalbox/router/transport"
)

// What is lost adds up by channel and reason, under the names and reasons that the HTTP side
// knows.
func TestLossesByChannel(t *testing.T) {
	var l losses
	for _, loss := range []transport.Loss{
		{Topic: "md:prices", Reason: transport.LossOverflow, Events: 2},
		{Topic: "md:prices", Reason: transport.LossOverflow, Events: 3},
		{Topic: "md:prices", Reason: transport.LossGap, Blind: time.Second},
		{Topic: "md:prices", Reason: transport.LossGap, Blind: 2 * time.Second},
		{Topic: "orders", Reason: transport.LossTrimmed, Events: 4},
		{Topic: "gone", Reason: transport.LossShutdown, Events: 5},
	} {
		l.add(loss)
	}
	got := l.byChannel(router.Config{Channels: []router.Channel{{Name: "prices", Topic: "md:prices"}, {Name: "orders", Topic: "orders"}}})
	for _, want := range []ops.Loss{
		{Channel: "prices", Reason: ops.LossOverflow, Events: 5, Times: 2},
		{Channel: "prices", Reason: ops.LossGap, Times: 2, Blind: 3 * time.Second},
		{Channel: "orders", Reason: ops.LossTrimmed, Events: 4, Times: 1},
		{Channel: "gone", Reason: ops.LossShutdown, Events: 5, Times: 1},
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%+v is not in %+v", want, got)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d sums: %+v", len(got), got)
	}
}
