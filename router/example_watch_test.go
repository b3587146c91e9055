package router_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"signalbox/router"
)

// A program watches its router: what failed, how long handlers took, and whether it lives.
func ExampleOnlooker() {
	trade := router.HandlerFunc(func(_ context.Context, event *router.Event) error {
		if event.Type == "exit" {
			return router.Permanent(errors.New("no position"))
		}
		return nil
	})
	pubsub := gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true}, watermill.NopLogger{})
	r, err := router.New(router.Config{
		Channels: []router.Channel{{Name: "orders"}},
		Handlers: []router.HandlerSpec{{Name: "trade", New: func(router.Env) (router.Handler, error) { return trade, nil }}},
		Routes:   []router.Route{{Channel: "orders", Types: []string{"*"}, Handler: "trade"}},
	}, router.Options{
		Subscriber: func(router.Channel) (message.Subscriber, error) { return pubsub, nil },
		Logger:     slog.New(slog.DiscardHandler),
		Measure:    true,
		Onlooker:   &router.Onlooker{See: func(o router.Outcome) { fmt.Println(o.Route, o.Result, o.Event.ID, o.Err) }},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	<-r.Running()
	fmt.Println("stuck:", r.Turning(ctx))

	for _, payload := range []string{`{"type":"enter","id":"1"}`, `{"type":"exit","id":"2"}`} {
		if err := pubsub.Publish("orders", message.NewMessage(watermill.NewUUID(), []byte(payload))); err != nil {
			fmt.Println(err)
		}
	}
	stop()
	fmt.Println("ended:", <-ended)
	stats := r.Stats()
	fmt.Println("calls", stats.Routes[0].Took.Count, "types", stats.Channels["orders"].Types)
	// Output:
	// stuck: <nil>
	// trade failed 2 no position
	// ended: <nil>
	// calls 2 types map[other:2]
}
