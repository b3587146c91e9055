package routertest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// The time is fake: no test waits for a pause between attempts, or for a window to end.
func ExampleNewWith() {
	cfg := router.Config{
		Channels: []router.Channel{{Name: "trade_commands"}},
		Routes: []router.Route{{Channel: "trade_commands", Types: []string{"enter"}, Handler: "trade", Policy: router.Policy{
			Retry:  router.Retry{Attempts: 3, Backoff: time.Minute},
			Dedupe: router.DedupePolicy{Window: time.Hour},
		}}},
	}
	box, err := routertest.NewWith(cfg, routertest.Options{
		Now:     time.Date(2026, time.January, 5, 12, 0, 0, 0, time.UTC),
		Answers: map[string][]error{"trade": {errors.New("exchange timeout"), nil}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = box.Close() }()

	enter := `{"type":"enter","id":"c1"}`
	box.Send("trade_commands", enter)
	fmt.Println("done at", box.Now().Format(time.TimeOnly))
	box.Send("trade_commands", enter)
	box.Advance(time.Hour)
	box.Send("trade_commands", enter)
	fmt.Print(box.Journal())
	// Output:
	// done at 12:01:00
	// trade_commands/trade
	//   enter c1: retried, exchange timeout; again in 1m0s
	//   enter c1: handled after 2 attempts
	//   enter c1: duplicate, handled before, within the window of dedupe
	//   enter c1: retried, exchange timeout; again in 1m0s
	//   enter c1: handled after 2 attempts
}

// Post sends without waiting, and Advance lets the time go on by as much as is said.
func ExampleBox_Advance() {
	box, err := routertest.NewWith(router.Config{
		Channels: []router.Channel{{Name: "trade_commands"}},
		Routes: []router.Route{{Channel: "trade_commands", Types: []string{"*"}, Handler: "trade", Policy: router.Policy{
			Retry: router.Retry{Attempts: 2, Backoff: 10 * time.Second},
		}}},
	}, routertest.Options{
		Now:     time.Date(2026, time.January, 5, 12, 0, 0, 0, time.UTC),
		Answers: map[string][]error{"trade": {routertest.Panic("out of luck"), nil}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = box.Close() }()

	box.Post("trade_commands", `{"type":"enter"}`)
	box.Advance(9 * time.Second)
	fmt.Println(box.Now().Format(time.TimeOnly), len(box.Handled("trade")))
	box.Advance(time.Second)
	fmt.Println(box.Now().Format(time.TimeOnly), len(box.Handled("trade")))
	// Output:
	// 12:00:09 0
	// 12:00:10 1
}
