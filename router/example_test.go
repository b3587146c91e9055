package router_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/tidwall/gjson"

	"signalbox/router"
	"signalbox/router/routertest"
)

// A router on Watermill's gochannel; package transport has Redis behind the same interface.
func ExampleRouter() {
	show := func(env router.Env) (router.Handler, error) {
		return router.HandlerFunc(func(_ context.Context, event *router.Event) error {
			fmt.Println(env.Handler, "got", event.Type, event.ID, string(event.Data))
			return nil
		}), nil
	}
	cfg := router.Config{
		Channels: []router.Channel{{Name: "price_data"}},
		Handlers: []router.HandlerSpec{{Name: "show", New: show}},
		Routes:   []router.Route{{Channel: "price_data", Types: []string{"*", "!heartbeat"}, Handler: "show"}},
	}
	pubsub := gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true}, watermill.NopLogger{})
	r, err := router.New(cfg, router.Options{
		Subscriber: func(router.Channel) (message.Subscriber, error) { return pubsub, nil },
		Logger:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	<-r.Running()

	for _, payload := range []string{`{"type":"tick","id":"1","data":{"price":"97393.22"}}`, `{"type":"heartbeat"}`, `oops`} {
		if err := pubsub.Publish("price_data", message.NewMessage(watermill.NewUUID(), []byte(payload))); err != nil {
			fmt.Println(err)
		}
	}
	stop()
	fmt.Println("ended:", <-ended)
	counts := r.Stats().Channels["price_data"]
	fmt.Println("received", counts.Received, "unmatched", counts.Unmatched, "rejected", counts.Rejected)
	// Output:
	// show got tick 1 {"price":"97393.22"}
	// ended: <nil>
	// received 3 unmatched 1 rejected map[not_json:1]
}

// box runs one handler in memory and sends it messages.
func box(h router.Handler, messages ...string) {
	b, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "trade_commands"}},
		Handlers: []router.HandlerSpec{{Name: "h", New: func(router.Env) (router.Handler, error) { return h, nil }}},
		Routes:   []router.Route{{Channel: "trade_commands", Types: []string{"*"}, Handler: "h"}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	b.Send("trade_commands", messages...)
	for _, o := range b.Outcomes() {
		fmt.Println(o.Result, o.Err)
	}
	if err := b.Close(); err != nil {
		fmt.Println(err)
	}
}

func ExampleHandlerFunc() {
	h := router.HandlerFunc(func(_ context.Context, event *router.Event) error {
		fmt.Println("handling", event.Type)
		return nil
	})
	box(h, `{"type":"start"}`)
	// Output:
	// handling start
	// handled <nil>
}

// Data is decoded into the handler's own type. Data that doesn't fit never will: the
// error is permanent.
func ExampleJSON() {
	type order struct {
		Symbol string `json:"symbol"`
		Size   string `json:"size"`
	}
	h := router.JSON(func(_ context.Context, event *router.Event, o order) error {
		fmt.Println(event.Type, o.Size, o.Symbol)
		return nil
	})
	box(h, `{"type":"enter","data":{"symbol":"BTCUSDT","size":"0.02"}}`)
	err := h.Handle(context.Background(), &router.Event{Type: "enter", Data: []byte(`[]`)})
	fmt.Println("permanent:", router.IsPermanent(err))
	// Output:
	// enter 0.02 BTCUSDT
	// handled <nil>
	// permanent: true
}

// rows is a handler that gains from several events at once.
type rows struct{}

func (r rows) Handle(ctx context.Context, event *router.Event) error {
	if verdicts := r.HandleBatch(ctx, []*router.Event{event}); verdicts != nil {
		return verdicts[0]
	}
	return nil
}

func (rows) HandleBatch(_ context.Context, events []*router.Event) []error {
	verdicts := make([]error, len(events))
	for i, event := range events {
		if event.Type == "bad" {
			verdicts[i] = router.Permanent(errors.New("no such column"))
		}
	}
	return verdicts // one per event, or nil when all are done
}

func ExampleBatchHandler() {
	box(rows{}, `{"type":"good"}`, `{"type":"bad"}`)
	// Output:
	// handled <nil>
	// failed no such column
}

func ExamplePermanent() {
	err := router.Permanent(errors.New("unknown symbol"))
	fmt.Println(err, router.IsPermanent(err), router.IsPermanent(fmt.Errorf("order 7: %w", err)))
	// Output: unknown symbol true true
}

func ExampleUnavailable() {
	err := router.Unavailable(errors.New("429 Too Many Requests"), 30*time.Second)
	after, away := router.IsUnavailable(fmt.Errorf("webhook: %w", err))
	fmt.Println(err, away, after)
	// Output: 429 Too Many Requests true 30s
}

// An order is sent up to three times, and never when it is older than five seconds.
func ExamplePolicy() {
	policy := router.Policy{
		Timeout: 2 * time.Second,
		Retry:   router.Retry{Attempts: 3, Backoff: 10 * time.Millisecond},
		MaxAge:  5 * time.Second,
		Workers: 4, // orders of the same symbol stay in order
	}
	calls := 0
	enter := router.HandlerFunc(func(context.Context, *router.Event) error {
		if calls++; calls == 1 {
			return errors.New("connection reset")
		}
		return nil
	})
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "trade_commands", Fields: router.Fields{Key: "data.symbol"}}},
		Handlers: []router.HandlerSpec{{Name: "trade", New: func(router.Env) (router.Handler, error) { return enter, nil }}},
		Routes:   []router.Route{{Channel: "trade_commands", Types: []string{"enter"}, Handler: "trade", Policy: policy}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	box.Send("trade_commands",
		`{"type":"enter","data":{"symbol":"BTCUSDT"}}`,
		`{"type":"enter","data":{"symbol":"BTCUSDT"},"time":"2020-01-01T00:00:00Z"}`,
	)
	for _, o := range box.Outcomes() {
		fmt.Println(o.Result, o.Attempt)
	}
	fmt.Println(box.Close())
	// Output:
	// retried 1
	// handled 2
	// skipped 0
	// <nil>
}

func ExampleParseTypes() {
	set, err := router.ParseTypes("order.*", "tick", "!order.test")
	fmt.Println(err)
	for _, typ := range []string{"order.new", "order.test", "tick", "ticks"} {
		fmt.Println(typ, set.Match(typ))
	}
	all, _ := router.ParseTypes("*")
	fmt.Println("signalbox.gap", all.Match("signalbox.gap"))
	_, err = router.ParseTypes("!heartbeat")
	fmt.Println(err)
	// Output:
	// <nil>
	// order.new true
	// order.test false
	// tick true
	// ticks false
	// signalbox.gap false
	// types ["!heartbeat"] exclude only; add "*" to take all others
}

// printer is a Watermill publisher that prints.
type printer struct{}

func (printer) Publish(topic string, msgs ...*message.Message) error {
	for _, m := range msgs {
		fmt.Println(topic, string(m.Payload))
	}
	return nil
}
func (printer) Close() error { return nil }

func ExamplePublisher() {
	cfg := router.Config{Service: "momentum-1", Channels: []router.Channel{
		{Name: "bot_status", Types: []string{"started", "stopped"}},
		{Name: "trades", Topic: "feed:trades", Fields: router.Fields{Type: "e"}},
	}}
	p := router.NewPublisher(cfg, func(router.Channel) (message.Publisher, error) { return printer{}, nil })
	ctx := context.Background()
	at := time.Date(2026, 11, 21, 23, 30, 0, 0, time.UTC)

	fmt.Println(p.Publish(ctx, "bot_status", router.Event{ID: "7", Type: "started", Time: at, Data: []byte(`{"position":"0"}`)}))
	fmt.Println(p.Publish(ctx, "trades", router.Event{Type: "trade", Data: []byte(`{"p":"97429.71"}`)}))
	fmt.Println(p.Publish(ctx, "bot_status", router.Event{Type: "strated"}))
	// Output:
	// bot_status {"id":"7","type":"started","source":"/signalbox/momentum-1","time":"2026-11-21T23:30:00Z","data":{"position":"0"}}
	// <nil>
	// feed:trades {"p":"97429.71","e":"trade"}
	// <nil>
	// publish to "bot_status": type "strated" is not one of its types; did you mean "started"?
}

// A channel whose messages are arrays of a feed's own layout.
func ExampleDecode() {
	trades := router.Channel{Name: "trades", Fields: router.Fields{Type: "e", Key: "s", Split: "."}}
	events, err := router.Decode(trades, router.Message{
		Payload: []byte(`[{"e":"trade","s":"BTCUSDT"},{"e":7},{"e":"quote","s":"ETHUSDT"}]`),
		ID:      "1700000000123-0",
	})
	for _, event := range events {
		fmt.Println(event.ID, event.Type, event.Key)
	}
	if malformed, ok := router.AsMalformed(err); ok {
		fmt.Println(malformed.Cause, malformed.Head)
	}
	// Output:
	// 1700000000123-0-1 trade BTCUSDT
	// 1700000000123-0-3 quote ETHUSDT
	// bad_type "{\"e\":7}"
}

// The pieces work on any Watermill router. LogErrors stands first, so that it sees what
// DecodeJSON rejects.
func ExampleDecodeJSON() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	types, err := router.ParseTypes("order.*")
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := router.HandlerFunc(func(_ context.Context, event *router.Event) error {
		fmt.Println("handling", event.Type)
		return nil
	})
	pubsub := gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true}, watermill.NopLogger{})
	plain, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		fmt.Println(err)
		return
	}
	plain.AddConsumerHandler("orders", "orders", pubsub, router.HandleEvents(handler)).AddMiddleware(
		router.LogErrors(log), router.DecodeJSON(router.Channel{Name: "orders"}), router.FilterTypes(types), router.Recover)
	ended := make(chan error)
	go func() { ended <- plain.Run(context.Background()) }()
	<-plain.Running()

	for _, payload := range []string{`{"type":"order.new"}`, `{"type":"tick"}`, `{"type":7}`} {
		if err := pubsub.Publish("orders", message.NewMessage(watermill.NewUUID(), []byte(payload))); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(plain.Close(), <-ended)
	// Output:
	// handling order.new
	// level=WARN msg="message rejected" channel=orders cause=bad_type err="the field \"type\" is a number, not a string at byte 8: \"{\\\"type\\\":7}\""
	// <nil> <nil>
}

func ExampleRegistry() {
	type options struct {
		Prefix string `toml:"prefix" doc:"what each line begins with"`
	}
	shout := router.Kind[options]{
		Name:     "shout",
		Doc:      "Prints the type in capitals.",
		Defaults: options{Prefix: "> "},
		New: func(_ router.Env, o options) (router.Handler, error) {
			return router.HandlerFunc(func(_ context.Context, event *router.Event) error {
				fmt.Println(o.Prefix + strings.ToUpper(event.Type))
				return nil
			}), nil
		},
	}
	registry := router.NewRegistry(shout)
	fmt.Println(registry.Names())

	// What the configuration does:
	kind, _ := registry.Kind("shout")
	filled := kind.Options().(*options)
	filled.Prefix = "! "
	handler, err := kind.New(router.Env{Handler: "loud"}, filled)
	if err != nil {
		fmt.Println(err)
		return
	}
	box(handler, `{"type":"tick"}`)
	// Output:
	// [shout]
	// ! TICK
	// handled <nil>
}

// A producer that sends a command again, not knowing whether it arrived, does no harm.
func ExampleDedupePolicy() {
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "trade_commands", Transport: router.Stream}},
		Routes: []router.Route{{
			Channel: "trade_commands", Types: []string{"enter"}, Handler: "trade",
			Policy: router.Policy{Dedupe: router.DedupePolicy{Window: 10 * time.Minute}},
		}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	box.Send("trade_commands", `{"type":"enter","id":"c-1"}`, `{"type":"enter","id":"c-1"}`, `{"type":"enter","id":"c-2"}`)
	for _, o := range box.Outcomes() {
		fmt.Println(o.Event.ID, o.Result)
	}
	fmt.Println(box.Close())
	// Output:
	// c-1 handled
	// c-1 duplicate
	// c-2 handled
	// <nil>
}

// Where the dead letters of a channel may be: its own stream, and what its routes name.
func ExampleConfig_DeadLetters() {
	cfg := router.Config{
		Channels: []router.Channel{
			{Name: "trade_commands", Transport: router.Stream, MaxLen: 10_000},
			{Name: "price_data", Transport: router.PubSub}, // keeps none
			{Name: "to_look_at", Transport: router.Stream},
		},
		Routes: []router.Route{{
			Channel: "trade_commands", Types: []string{"enter"}, Handler: "trade",
			Policy: router.Policy{DeadLetter: router.DeadLetter{Channel: "to_look_at"}},
		}},
	}
	for _, name := range []string{"trade_commands", "price_data"} {
		for _, stream := range cfg.DeadLetters(name) {
			fmt.Println(name, "in", stream.Topic)
		}
	}
	// Output:
	// trade_commands in trade_commands.dead
	// trade_commands in to_look_at
}

// Another configuration for a router that runs. The subscription goes on.
func ExampleRouter_Reload() {
	handler := func(word string) router.HandlerSpec {
		return router.HandlerSpec{Name: "greet", Revision: word, New: func(router.Env) (router.Handler, error) {
			return router.HandlerFunc(func(_ context.Context, event *router.Event) error {
				fmt.Println(word, event.ID)
				return nil
			}), nil
		}}
	}
	cfg := router.Config{
		Channels: []router.Channel{{Name: "people"}},
		Handlers: []router.HandlerSpec{handler("hello")},
		Routes:   []router.Route{{Channel: "people", Types: []string{"*"}, Handler: "greet"}},
	}
	pubsub := gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true}, watermill.NopLogger{})
	r, err := router.New(cfg, router.Options{
		Subscriber: func(router.Channel) (message.Subscriber, error) { return pubsub, nil },
		Logger:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	<-r.Running()

	_ = pubsub.Publish("people", message.NewMessage("1", []byte(`{"type":"came","id":"ann"}`)))
	cfg.Handlers = []router.HandlerSpec{handler("welcome")}
	changes, err := r.Reload(cfg)
	fmt.Println("changed:", changes.Handlers.Changed, err)
	_ = pubsub.Publish("people", message.NewMessage("2", []byte(`{"type":"came","id":"ben"}`)))
	stop()
	fmt.Println("ended:", <-ended)
	// Output:
	// hello ann
	// changed: [greet] <nil>
	// welcome ben
	// ended: <nil>
}

// A schema in Go. Package routesfile makes one from a JSON Schema file.
func ExampleSchema() {
	sized := router.Schema{Check: func(msg []byte) error {
		if !gjson.GetBytes(msg, "data.size").Exists() {
			return errors.New("data.size is missing")
		}
		return nil
	}}
	ch := router.Channel{Name: "trade_commands", Schemas: map[string]router.Schema{"enter": sized}}
	for _, payload := range []string{`{"type":"enter","data":{"size":"0.1"}}`, `{"type":"exit"}`, `{"type":"enter"}`} {
		events, err := router.Decode(ch, router.Message{Payload: []byte(payload)})
		fmt.Println(len(events), err)
	}
	// Output:
	// 1 <nil>
	// 1 <nil>
	// 0 data.size is missing (schema of type "enter"): "{\"type\":\"enter\"}"
}
