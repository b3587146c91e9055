package handlers_test

import (
	"fmt"
	"testing"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routertest"
)

func TestDropHandlesAndSaysNothing(t *testing.T) {
	box, out := start(t, oneRoute(spec(handlers.Drop(), struct{}{})))
	box.Send("in", `{"type":"heartbeat"}`, `{"type":"tick"}`)
	if got := len(box.Handled("drop")); got != 2 {
		t.Errorf("handled %d events, want 2", got)
	}
	if out.Len() > 0 {
		t.Errorf("logged %q", out)
	}
}

func ExampleDrop() {
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "bot_status"}},
		Handlers: []router.HandlerSpec{spec(handlers.Drop(), struct{}{})},
		Routes:   []router.Route{{Channel: "bot_status", Types: []string{"heartbeat"}, Handler: "drop"}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = box.Close() }()

	box.Send("bot_status", `{"type":"heartbeat"}`, `{"type":"surprise"}`)
	for _, o := range box.Outcomes() {
		fmt.Println(o.Event.Type, o.Result)
	}
	// Output:
	// heartbeat handled
	// surprise unmatched
}
