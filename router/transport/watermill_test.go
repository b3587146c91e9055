package transport

import (
	"errors"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"signalbox/internal/redistest"
)

// replica closes its Redis with its subscriber, as a process that ends would.
type replica struct {
	message.Subscriber
	r *Redis
}

func (p replica) Close() error { return errors.Join(p.Subscriber.Close(), p.r.Close()) }

// TestWatermill runs Watermill's own suite: streams with one event per message must
// be good for every user of Watermill. Each constructor call is a process of its own.
func TestWatermill(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	inGroup := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		t.Helper()
		n := open(t, server.URL())
		return open(t, server.URL()).StreamPublisher(0), replica{n.Stream(StreamConfig{Group: group}), n.Redis}
	}
	features := tests.Features{
		ConsumerGroups:                      true,
		GuaranteedOrder:                     true,
		GuaranteedOrderWithSingleSubscriber: true,
		Persistent:                          true,
	}
	// Sharing one group, subscribers must hand over to each other what they leave.
	tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) {
		t.Helper()
		return inGroup(t, "suite")
	}, inGroup)
	t.Run("OldMessages", func(t *testing.T) {
		t.Parallel()
		features.NewSubscriberReceivesOldMessages = true // each in a group of its own
		tests.TestNewSubscriberReceivesOldMessages(t,
			tests.TestContext{TestID: tests.NewTestID(), Features: features},
			func(t *testing.T) (message.Publisher, message.Subscriber) {
				t.Helper()
				return inGroup(t, watermill.NewUUID())
			})
	})
}
