package router_test

import (
	"context"
	"fmt"

	"signalbox/router"
	"signalbox/router/routertest"
)

// What a handler publishes with its context continues the trace of its event.
func ExampleEvent_TraceID() {
	answer := func(env router.Env) (router.Handler, error) {
		return router.HandlerFunc(func(ctx context.Context, event *router.Event) error {
			fmt.Println(event.Type, "is part of", event.TraceID())
			return env.Publisher.Publish(ctx, "bot_status", router.Event{Type: "entered"})
		}), nil
	}
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "trade_commands"}, {Name: "bot_status"}},
		Handlers: []router.HandlerSpec{{Name: "trade", New: answer}},
		Routes:   []router.Route{{Channel: "trade_commands", Types: []string{"enter"}, Handler: "trade"}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = box.Close() }()
	box.Send("trade_commands", `{"type":"enter","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`)
	for _, message := range box.Published("bot_status") {
		events, err := router.Decode(router.Channel{}, router.Message{Payload: []byte(message)})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(events[0].Type, "is part of", events[0].TraceID())
	}
	// Output:
	// enter is part of 0af7651916cd43dd8448eb211c80319c
	// entered is part of 0af7651916cd43dd8448eb211c80319c
}
