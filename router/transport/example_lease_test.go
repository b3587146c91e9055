package transport_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"

	"signalbox/router/internal/batch"
	"signalbox/router/transport"
)

// One process at a time holds a source. It publishes, and says when it has closed its session.
func ExampleRedis_Lease() {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	r, err := transport.Open(transport.Config{URL: "redis://" + server.Addr(), Service: "bot"}, nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = r.Close() }()

	ctx := context.Background()
	lease := r.Lease(transport.LeaseConfig{Source: "alpaca", Topic: "price_data", Stream: true, For: 200 * time.Millisecond})
	for range 2 {
		term, err := lease.Acquire(ctx)
		if err != nil {
			panic(err)
		}
		err = term.Publish(ctx, []batch.Outgoing{{ID: "1", Payload: []byte(`{"type":"trade"}`)}})
		holders, _ := r.Holders(ctx, "alpaca")
		fmt.Println(err, "held by us:", holders[0].Name == r.Consumer(), "in order:", term.Grant().Orderly)
		term.Release(ctx, true)
	}
	fmt.Println(r.Client().XLen(ctx, "price_data").Val(), "entries")
	// Output:
	// <nil> held by us: true in order: false
	// <nil> held by us: true in order: true
	// 2 entries
}

// All processes together connect twice an hour at most.
func ExampleRedis_SpendConnect() {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	r, err := transport.Open(transport.Config{URL: "redis://" + server.Addr(), Service: "bot"}, nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = r.Close() }()

	for range 3 {
		wait, err := r.SpendConnect(context.Background(), "alpaca", 2, time.Hour)
		fmt.Println(wait.Round(time.Minute), err)
	}
	// Output:
	// 0s <nil>
	// 0s <nil>
	// 1h0m0s <nil>
}
