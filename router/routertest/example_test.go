package routertest_test

import (
	"context"
	"errors"
	"fmt"

	"signalbox/router"
	"signalbox/router/routertest"
)

func Example() {
	trade := func(router.Env) (router.Handler, error) {
		return router.HandlerFunc(func(_ context.Context, event *router.Event) error {
			if event.Key == "" {
				return router.Permanent(errors.New("which bot?"))
			}
			return nil
		}), nil
	}
	cfg := router.Config{
		Channels: []router.Channel{{Name: "trade_commands", Fields: router.Fields{Key: "data.bot"}}},
		Handlers: []router.HandlerSpec{{Name: "trade", New: trade}},
		Routes:   []router.Route{{Channel: "trade_commands", Types: []string{"enter", "exit"}, Handler: "trade"}},
	}

	box, err := routertest.New(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = box.Close() }()

	box.Send("trade_commands",
		`{"type":"enter","data":{"bot":"momentum-1"}}`,
		`{"type":"enter","data":{}}`,
		`{"type":"audit"}`,
		`{"type":`,
	)
	for _, o := range box.Outcomes() {
		fmt.Println(o.Result, o.Err)
	}
	// Output:
	// handled <nil>
	// failed which bot?
	// unmatched <nil>
	// rejected not JSON: the message ends too early at byte 8: "{\"type\":"
}
