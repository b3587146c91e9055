package source_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidwall/gjson"

	"signalbox/router"
	"signalbox/router/internal/batch"
	"signalbox/router/source"
)

// printing is a term that prints what is published. Those of transport.Lease publish to
// Redis, as long as this process is the holder.
type printing struct{ done chan struct{} }

func (printing) Grant() batch.Grant            { return batch.Grant{Epoch: 1, Orderly: true, Silent: -1} }
func (p printing) Done() <-chan struct{}       { return p.done }
func (printing) Release(context.Context, bool) { fmt.Println("released") }

func (printing) Publish(_ context.Context, messages []batch.Outgoing) error {
	for _, m := range messages {
		of := gjson.GetManyBytes(m.Payload, "seq", "type")
		fmt.Println(of[0], of[1])
	}
	return nil
}

// A source whose first session fails. The next one begins after a back-off.
func ExampleSet() {
	sessions, stop := 0, func() {}
	prices := func(ctx context.Context, to router.Sink) error {
		sessions++
		to.Opened("a price list")
		to.Emit(fmt.Appendf(nil, `{"type":"tick","price":%d}`, sessions))
		if sessions == 1 {
			return errors.New("connection reset")
		}
		stop()
		<-ctx.Done()
		return ctx.Err()
	}
	set, err := source.New(router.Config{
		Channels: []router.Channel{{Name: "price_data"}},
		Sources: []router.SourceSpec{{
			Name: "broker", Channel: "price_data", Backoff: 10 * time.Millisecond,
			New: func(router.SourceEnv) (router.Source, error) { return router.SourceFunc(prices), nil },
		}},
	}, source.Options{
		Acquire: func(context.Context, router.SourceSpec, router.Channel) (source.Term, error) {
			return printing{make(chan struct{})}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop = cancel
	set.Run(ctx)
	fmt.Println(set.Stats()[0].Sessions, "sessions")
	// Output:
	// 1 signalbox.connected
	// 2 tick
	// 3 signalbox.disconnected
	// 4 signalbox.connected
	// 5 signalbox.gap
	// 6 tick
	// 7 signalbox.disconnected
	// released
	// 2 sessions
}
