package router

import (
	"fmt"
	"testing"
	"time"
)

func ExamplePolicy_InForce() {
	p := Policy{Timeout: -1, Retry: Retry{Attempts: 3, Backoff: time.Minute}}.InForce()
	fmt.Println(p.Timeout < 0, p.Retry.Attempts, p.Retry.Backoff, p.Retry.MaxBackoff, p.Workers)
	fmt.Println(Policy{}.InForce().Timeout)
	// Output:
	// true 3 1m0s 1m0s 1
	// 30s
}

func ExampleConfig_DeadLetterOf() {
	cfg := Config{Channels: []Channel{{Name: "orders", Topic: "md:orders", Transport: Stream}, {Name: "kept", Transport: Stream}, {Name: "prices", Transport: PubSub}}}
	for _, r := range []Route{
		{Channel: "orders"},
		{Channel: "orders", Policy: Policy{DeadLetter: DeadLetter{Channel: "kept"}}},
		{Channel: "orders", Policy: Policy{DeadLetter: DeadLetter{Off: true}}},
		{Channel: "prices"},
		{Channel: "prices", Policy: Policy{DeadLetter: DeadLetter{On: true}}},
		{Channel: "nowhere"},
	} {
		place, ok := cfg.DeadLetterOf(r)
		fmt.Println(r.Channel, place.Topic, ok)
	}
	// Output:
	// orders md:orders.dead true
	// orders kept true
	// orders  false
	// prices  false
	// prices prices.dead true
	// nowhere  false
}

func TestInForceOfAWrongPolicy(t *testing.T) {
	if p := (Policy{Workers: -1}).InForce(); p.Workers != -1 {
		t.Errorf("%+v", p) // New says what is wrong with it
	}
}
