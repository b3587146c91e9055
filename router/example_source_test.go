package router_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"signalbox/router"
)

// shown is a sink that prints. Package source has the one that publishes.
type shown struct{}

func (shown) Opened(at string)    { fmt.Println("opened:", at) }
func (shown) Alive()              {}
func (shown) Emit(message []byte) { fmt.Println("emitted:", string(message)) }
func (shown) Trouble(err error)   { fmt.Println("trouble:", err) }

// A session of a feed that sends a line for each message. Who runs it connects again.
func ExampleSourceFunc() {
	feed := strings.NewReader("{\"type\":\"tick\",\"data\":{\"symbol\":\"BTCUSDT\"}}\n{\"type\":\"tick\",\"data\":{\"symbol\":\"ETHUSDT\"}}\n")
	session := router.SourceFunc(func(_ context.Context, to router.Sink) error {
		to.Opened("a text")
		lines := bufio.NewScanner(feed)
		for lines.Scan() {
			to.Emit(bytes.Clone(lines.Bytes())) // the scanner writes over its bytes
		}
		if err := lines.Err(); err != nil {
			return err
		}
		return errors.New("the feed ended")
	})
	fmt.Println("verdict:", session.Run(context.Background(), shown{}))
	// Output:
	// opened: a text
	// emitted: {"type":"tick","data":{"symbol":"BTCUSDT"}}
	// emitted: {"type":"tick","data":{"symbol":"ETHUSDT"}}
	// verdict: the feed ended
}

// A kind of source is registered beside the kinds of handler. [sources.NAME] with
// kind = "greeter" then makes one for each session.
func ExampleSourceKind() {
	type options struct {
		Words []string `toml:"words" doc:"what to say"`
	}
	greeter := router.SourceKind[options]{
		Name:     "greeter",
		Doc:      "Says words, and ends.",
		Defaults: options{Words: []string{"hello"}},
		New: func(env router.SourceEnv, o options) (router.Source, error) {
			return router.SourceFunc(func(_ context.Context, to router.Sink) error {
				to.Opened(env.Source)
				for _, word := range o.Words {
					to.Emit(fmt.Appendf(nil, `{"type":"said","data":%q}`, word))
				}
				return nil // ended as planned
			}), nil
		},
	}
	kinds := router.NewRegistry()
	kinds.AddSources(greeter)
	fmt.Println(kinds.SourceNames())

	// What the configuration does:
	kind, _ := kinds.Source("greeter")
	source, err := kind.New(router.SourceEnv{Source: "hall"}, kind.Options())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(source.Run(context.Background(), shown{}))
	// Output:
	// [greeter]
	// opened: hall
	// emitted: {"type":"said","data":"hello"}
	// <nil>
}

// The other side says that somebody else has logged in.
func ExampleStandDown() {
	err := router.StandDown(errors.New("connection limit exceeded"))
	fmt.Println(err, router.IsStandDown(fmt.Errorf("log in: %w", err)), router.IsStandDown(errors.New("EOF")))
	// Output: connection limit exceeded true false
}

// What a feed sends becomes the data of an event on the channel, stamped by who holds the source.
func ExampleComposer() {
	cfg := router.Config{Channels: []router.Channel{{Name: "price_data", Types: []string{"trade"}, Fields: router.Fields{Key: "data.S"}}}}
	composer, err := router.NewComposer(cfg, router.SourceSpec{
		Name: "broker", Channel: "price_data", Fields: router.Fields{Type: "T", ID: "i", Time: "t", Split: "."},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	read, err := composer.Read([]byte(`[{"T":"trade","i":7,"t":"2026-11-27T09:30:00Z","S":"BTCUSDT","p":97000},{"T":"status","i":8}]`), time.Now())
	fmt.Println(len(read), err)
	for i := range read {
		message, err := composer.Compose(&read[i])
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(message.Key, string(message.Payload(router.Stamp{Epoch: 3, Seq: 1})))
	}
	// Output:
	// 2 <nil>
	// BTCUSDT {"id":"7","type":"trade","source":"/signalbox/sources/broker","time":"2026-11-27T09:30:00Z","data":{"T":"trade","i":7,"t":"2026-11-27T09:30:00Z","S":"BTCUSDT","p":97000},"epoch":3,"seq":1}
	// the channel does not declare its type
}
