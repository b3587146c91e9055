package transport

import (
	"log/slog"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
)

// NewMemory returns Watermill's gochannel in the one mode that keeps order: Publish
// returns when every subscriber has acknowledged the message. It is for tests; a
// nacked message is sent again for ever.
func NewMemory(log *slog.Logger) *gochannel.GoChannel {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return gochannel.NewGoChannel(
		gochannel.Config{BlockPublishUntilSubscriberAck: true},
		watermill.NewSlogLogger(log),
	)
}
