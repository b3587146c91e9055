package transport

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/alicebob/miniredis/v2"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// settings are what subscriptions of every kind have.
type settings struct{ maxBatch, inFlight int }

// carrier is one way to carry events, for the contract that all of them keep.
type carrier struct {
	name    string
	redis   bool // knows batches and windows
	stream  bool // delivers again
	open    func(t *testing.T) node
	sub     func(n node, c settings) message.Subscriber
	publish func(n node) message.Publisher
}

func realRedis(t *testing.T) node { return open(t, redistest.Start(t).URL()) }

func mini(t *testing.T) node { return open(t, "redis://"+miniredis.RunT(t).Addr()) }

func pubsubOf(n node, c settings) message.Subscriber {
	return n.PubSub(PubSubConfig{MaxBatch: c.maxBatch, InFlight: c.inFlight, Drain: time.Second})
}

func streamOf(n node, c settings) message.Subscriber {
	return n.Stream(StreamConfig{Group: "bot", MaxBatch: c.maxBatch, InFlight: c.inFlight})
}

func carriers() []carrier {
	pub := func(n node) message.Publisher { return n.PubSubPublisher() }
	add := func(n node) message.Publisher { return n.StreamPublisher(0) }
	return []carrier{
		{name: "pubsub", redis: true, open: realRedis, sub: pubsubOf, publish: pub},
		{name: "stream", redis: true, stream: true, open: realRedis, sub: streamOf, publish: add},
		{name: "pubsub on miniredis", redis: true, open: mini, sub: pubsubOf, publish: pub},
		{name: "stream on miniredis", redis: true, stream: true, open: mini, sub: streamOf, publish: add},
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, c carrier){
		"order":         contractOrder,
		"plain":         contractPlain,
		"idle":          contractIdle,
		"batches":       contractBatches,
		"outstanding":   contractOutstanding,
		"in flight":     contractInFlight,
		"nack":          contractNack,
		"context":       contractContext,
		"close":         contractClose,
		"context end":   contractContextEnd,
		"done at last":  contractDoneAfterClose,
		"bytes":         contractBytes,
		"several":       contractSeveral,
		"closed inputs": contractClosed,
	}
	for _, c := range carriers() {
		for name, test := range tests {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, c)
			})
		}
	}
}

func send(t *testing.T, c carrier, n node, payloads ...string) {
	t.Helper()
	if err := c.publish(n).Publish("ch", messagesOf(payloads...)...); err != nil {
		t.Fatal(err)
	}
}

func contractOrder(t *testing.T, c carrier) {
	n := c.open(t)
	messages := subscribe(t, n, c.sub(n, settings{maxBatch: 64}), "ch")
	want := texts(2000)
	send(t, c, n, want...)
	if got := collect(t, messages, len(want)); !slices.Equal(got, want) {
		t.Fatal("events came in another order")
	}
}

func contractPlain(t *testing.T, c carrier) {
	n := c.open(t)
	messages := subscribe(t, n, c.sub(n, settings{}), "ch")
	want := texts(20)
	send(t, c, n, want...)
	for _, text := range want {
		msg := receive(t, messages)
		if string(msg.Payload) != text {
			t.Fatalf("got %q, want %q", msg.Payload, text)
		}
		msg.Ack()
	}
	if c.stream {
		eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "ch") == 0 })
	}
}

// With nothing else waiting, one event is handed over at once and as a plain message.
func contractIdle(t *testing.T, c carrier) {
	n := c.open(t)
	messages := subscribe(t, n, c.sub(n, settings{maxBatch: 64}), "ch")
	send(t, c, n, "one")
	msg := receive(t, messages)
	items := batch.FromContext(msg.Context()).Items
	if len(items) != 1 || string(msg.Payload) != "one" || string(items[0].Payload) != "one" {
		t.Fatalf("got %d items, payload %q", len(items), msg.Payload)
	}
	if item := items[0]; item.Topic != "ch" || time.Since(item.Time).Abs() > time.Minute || (item.ID != "") != c.stream {
		t.Fatalf("got item %+v", item)
	}
	msg.Ack()
}

func contractBatches(t *testing.T, c carrier) {
	n := c.open(t)
	messages := subscribe(t, n, c.sub(n, settings{maxBatch: 16}), "ch")
	want := texts(200)
	send(t, c, n, want...)
	first := receive(t, messages) // the others gather meanwhile
	if c.stream {
		eventually(t, "the others are read", func() bool { return pendingOf(t, n, "ch") == 200 })
	}
	first.Ack()
	got := len(batch.FromContext(first.Context()).Items)
	largest := 0
	for got < len(want) {
		items := take(t, messages)
		largest = max(largest, len(items))
		got += len(items)
		for _, item := range items {
			item.Owner.Done(item)
		}
	}
	if largest < 2 || largest > 16 {
		t.Fatalf("largest batch has %d events, want 2 to 16", largest)
	}
}

func contractOutstanding(t *testing.T, c carrier) {
	n := c.open(t)
	messages := subscribe(t, n, c.sub(n, settings{}), "ch")
	send(t, c, n, "a", "b")
	msg := receive(t, messages)
	none(t, messages, 50*time.Millisecond)
	msg.Ack()
	if msg = receive(t, messages); string(msg.Payload) != "b" {
		t.Fatalf("got %q", msg.Payload)
	}
	msg.Ack()
}

func contractInFlight(t *testing.T, c carrier) {
	n := c.open(t)
	messages := subscribe(t, n, c.sub(n, settings{maxBatch: 3, inFlight: 5}), "ch")
	send(t, c, n, texts(50)...)
	var held []*batch.Item
	for len(held) < 5 {
		held = append(held, take(t, messages)...)
	}
	none(t, messages, 50*time.Millisecond)
	if len(held) != 5 || c.stream && pendingOf(t, n, "ch") != 5 {
		t.Fatalf("%d events in hand, %d pending, want 5", len(held), pendingOf(t, n, "ch"))
	}
	// Completed in any order, each makes room for one.
	held[3].Owner.Done(held[3])
	if items := take(t, messages); len(items) != 1 {
		t.Fatalf("got %d events for one that is done", len(items))
	} else {
		held = append(held, items...)
	}
	none(t, messages, 50*time.Millisecond)
	for i, item := range held {
		if i != 3 {
			item.Owner.Done(item)
		}
	}
	collect(t, messages, 44)
}

func contractNack(t *testing.T, c carrier) {
	n := c.open(t)
	messages := subscribe(t, n, c.sub(n, settings{maxBatch: 8}), "ch")
	send(t, c, n, "a")
	first := receive(t, messages)
	first.Nack()
	send(t, c, n, "b")
	if !c.stream {
		if got := collect(t, messages, 1); got[0] != "b" {
			t.Fatalf("got %q after a nack", got)
		}
		return
	}
	again := receive(t, messages)
	if string(again.Payload) != "a" || batch.FromContext(again.Context()) == nil || again == first {
		t.Fatalf("got %q, want the nacked event as a new message with its batch", again.Payload)
	}
	again.Ack()
	if got := collect(t, messages, 1); got[0] != "b" {
		t.Fatalf("got %q", got)
	}
	eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "ch") == 0 })
}

// A plain message's context ends with its ack; a batch's events outlive it. Neither
// ends with the subscription's context.
func contractContext(t *testing.T, c carrier) {
	n := c.open(t)
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	messages, err := c.sub(n, settings{}).Subscribe(ctx, "ch")
	if err != nil {
		t.Fatal(err)
	}
	ready(t, n)
	send(t, c, n, "a", "b")
	plain := receive(t, messages)
	if plain.Context().Value(key{}) != "value" || plain.Context().Err() != nil {
		t.Fatal("the message has lost the subscription's values")
	}
	plain.Ack()
	<-plain.Context().Done()
	msg := receive(t, messages)
	items := batch.FromContext(msg.Context()).Take()
	cancel()
	if msg.Context().Err() != nil {
		t.Fatal("the message's context ended with the subscription's")
	}
	msg.Ack()
	ended(t, messages)
	if msg.Context().Err() != nil {
		t.Fatal("the context of taken events was canceled")
	}
	done(items)
}

func contractClose(t *testing.T, c carrier) {
	n := c.open(t)
	sub := c.sub(n, settings{maxBatch: 4})
	messages := subscribe(t, n, sub, "ch")
	onlooker := messages
	if !c.stream {
		onlooker = subscribe(t, n, c.sub(n, settings{maxBatch: 4}), "ch")
	}
	send(t, c, n, texts(100)...)
	msg := receive(t, messages) // and never acks
	if !c.stream {
		collect(t, onlooker, 100) // what has come to one has come to both, and is queued
	}
	begin := time.Now()
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Fatalf("closing took %v", took)
	}
	ended(t, messages)
	if msg.Context().Err() == nil {
		t.Fatal("the context of an unanswered message was not canceled")
	}
	if c.stream {
		msg.Ack() // late, but not too late
		items := len(batch.FromContext(msg.Context()).Items)
		eventually(t, "the late ack counts", func() bool {
			total := int(n.Client().XLen(context.Background(), "ch").Val())
			p := pendingOf(t, n, "ch")
			return total == 100 && p <= 100-items
		})
	} else if lost := n.lost.events(LossShutdown); lost == 0 {
		t.Fatal("what was queued was not reported as lost")
	}
}

func contractContextEnd(t *testing.T, c carrier) {
	n := c.open(t)
	sub := c.sub(n, settings{})
	ctx, cancel := context.WithCancel(t.Context())
	messages, err := sub.Subscribe(ctx, "ch")
	if err != nil {
		t.Fatal(err)
	}
	ready(t, n)
	begin := time.Now()
	cancel()
	ended(t, messages)
	if took := time.Since(begin); took > 3*time.Second {
		t.Fatalf("an idle subscription took %v to end", took)
	}
	// The subscriber still is good for another one.
	other := subscribe(t, n, sub, "ch")
	send(t, c, n, "x")
	if got := collect(t, other, 1); got[0] != "x" {
		t.Fatalf("got %q", got)
	}
}

func contractDoneAfterClose(t *testing.T, c carrier) {
	n := c.open(t)
	sub := c.sub(n, settings{maxBatch: 8})
	messages := subscribe(t, n, sub, "ch")
	send(t, c, n, "a")
	items := take(t, messages)
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	done(items)
	if c.stream {
		eventually(t, "what was completed after the end is acknowledged", func() bool {
			return pendingOf(t, n, "ch") == 0
		})
	}
}

func contractBytes(t *testing.T, c carrier) {
	n := c.open(t)
	messages := subscribe(t, n, c.sub(n, settings{}), "ch")
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	want := []string{"", string(all), "\xff\xfe", "\r\n$5\r\n", string(make([]byte, 1<<20))}
	send(t, c, n, want...)
	for i, text := range want {
		if msg := receive(t, messages); string(msg.Payload) != text {
			t.Fatalf("message %d has changed: %d bytes, want %d", i, len(msg.Payload), len(text))
		} else {
			msg.Ack()
		}
	}
}

// Several subscriptions of one process: each gets everything on Pub/Sub, and on a
// stream, in one group, each event goes to one of them.
func contractSeveral(t *testing.T, c carrier) {
	n := c.open(t)
	one := c.sub(n, settings{maxBatch: 8})
	two := c.sub(n, settings{maxBatch: 8})
	a, b := subscribe(t, n, one, "ch"), subscribe(t, n, two, "ch")
	want := texts(300)
	send(t, c, n, want...)
	if !c.stream {
		if !slices.Equal(collect(t, a, 300), want) || !slices.Equal(collect(t, b, 300), want) {
			t.Fatal("a subscription missed something")
		}
		_ = one.Close()
		send(t, c, n, "after")
		if got := collect(t, b, 1); got[0] != "after" {
			t.Fatalf("got %q", got)
		}
		return
	}
	seen := make(map[string]int)
	for len(seen) < 300 {
		var msg *message.Message
		select {
		case msg = <-a:
		case msg = <-b:
		case <-time.After(patience):
			t.Fatalf("%d of 300 events arrived", len(seen))
		}
		for _, item := range batch.FromContext(msg.Context()).Items {
			seen[string(item.Payload)]++
		}
		msg.Ack()
	}
	for text, times := range seen {
		if times != 1 {
			t.Fatalf("%s was delivered %d times", text, times)
		}
	}
}

func contractClosed(t *testing.T, c carrier) {
	n := c.open(t)
	sub, pub := c.sub(n, settings{}), c.publish(n)
	if _, err := sub.Subscribe(t.Context(), ""); err == nil {
		t.Fatal("an empty topic was accepted")
	}
	for _, closer := range []interface{ Close() error }{pub, pub, sub, sub} {
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sub.Subscribe(t.Context(), "ch"); err == nil {
		t.Fatal("a closed subscriber subscribed")
	}
	if err := pub.Publish("ch", messagesOf("a")...); err == nil {
		t.Fatal("a closed publisher published")
	}
	if err := n.Client().Ping(t.Context()).Err(); err != nil {
		t.Fatalf("closing a publisher closed the client: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryKeepsOrder(t *testing.T) {
	t.Parallel()
	memory := NewMemory(nil)
	messages, err := memory.Subscribe(t.Context(), "ch")
	if err != nil {
		t.Fatal(err)
	}
	published := make(chan error, 1)
	go func() { published <- memory.Publish("ch", messagesOf(texts(100)...)...) }()
	for i, want := range texts(100) {
		msg := receive(t, messages)
		if string(msg.Payload) != want {
			t.Fatalf("message %d is %q", i, msg.Payload)
		}
		if i == 99 {
			select {
			case err := <-published:
				t.Fatalf("Publish returned before the last message was handled: %v", err)
			default:
			}
		}
		msg.Ack()
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	if err := memory.Close(); err != nil {
		t.Fatal(err)
	}
}

func ExampleOpen() {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer server.Close()

	r, err := Open(Config{URL: "redis://" + server.Addr(), Service: "bot"}, nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = r.Close() }()
	messages, err := r.Stream(StreamConfig{Group: "bot"}).Subscribe(context.Background(), "trade_commands")
	if err != nil {
		panic(err)
	}
	err = r.StreamPublisher(1000).Publish("trade_commands",
		message.NewMessage("1", []byte(`{"type":"enter","data":{"symbol":"BTCUSDT"}}`)))
	if err != nil {
		panic(err)
	}
	msg := <-messages
	fmt.Println(string(msg.Payload))
	msg.Ack()
	// Output: {"type":"enter","data":{"symbol":"BTCUSDT"}}
}
