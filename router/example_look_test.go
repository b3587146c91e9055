package router_test

import (
	"fmt"
	"time"

	"signalbox/router"
)

func ExampleTypeSet_Decides() {
	types, err := router.ParseTypes("order.*", "tick", "!order.test")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, typ := range []string{"tick", "order.new", "order.test", "tock"} {
		fmt.Printf("%s: %t by %q\n", typ, types.Match(typ), types.Decides(typ))
	}
	// Output:
	// tick: true by "tick"
	// order.new: true by "order.*"
	// order.test: false by "!order.test"
	// tock: false by ""
}

func ExampleConfig_DeadLettersOf() {
	cfg := router.Config{
		Channels: []router.Channel{
			{Name: "commands", Transport: router.Stream},
			{Name: "prices", Transport: router.PubSub},
			{Name: "failed", Transport: router.Stream, Topic: "all:failed"},
		},
	}
	for _, route := range []router.Route{
		{Channel: "commands"},
		{Channel: "commands", Policy: router.Policy{DeadLetter: router.DeadLetter{Off: true}}},
		{Channel: "prices"},
		{Channel: "prices", Policy: router.Policy{DeadLetter: router.DeadLetter{Channel: "failed"}}},
	} {
		kept, ok := cfg.DeadLettersOf(route)
		fmt.Printf("%s: %t %q\n", route.Channel, ok, kept.Topic)
	}
	// Output:
	// commands: true "commands.dead"
	// commands: false ""
	// prices: false ""
	// prices: true "all:failed"
}

func ExamplePolicy_Effective() {
	policy := router.Policy{Retry: router.Retry{Attempts: 3}, MaxAge: 5 * time.Second}.Effective()
	fmt.Println(policy.Retry.Attempts, "attempts from", policy.Retry.Backoff, "apart,", policy.Timeout, "each")
	// Output:
	// 3 attempts from 200ms apart, 30s each
}
