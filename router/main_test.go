package router

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.uber.org/goleak"

	"signalbox/router/internal/batch"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen; only a failing test waits so long.
const patience = 10 * time.Second

// logs collects what is logged, one map per line.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// lines returns the lines at least as bad as level whose message is msg; "" is any.
func (l *logs) lines(t testing.TB, level slog.Level, msg string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for line := range strings.Lines(l.buf.String()) {
		var attrs map[string]any
		if err := json.Unmarshal([]byte(line), &attrs); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		var at slog.Level
		if err := at.UnmarshalText([]byte(attrs["level"].(string))); err != nil {
			t.Fatal(err)
		}
		if at >= level && (msg == "" || attrs["msg"] == msg) {
			found = append(found, attrs)
		}
	}
	return found
}

// carrier is a Subscriber whose messages are batches, as a transport's are.
type carrier struct {
	messages chan *message.Message
	once     sync.Once
	closed   chan struct{}

	mu    sync.Mutex
	items []*batch.Item
	done  map[*batch.Item]int
	moved chan struct{} // closed and replaced at every Done
}

func newCarrier() *carrier {
	return &carrier{
		messages: make(chan *message.Message), closed: make(chan struct{}),
		done: map[*batch.Item]int{}, moved: make(chan struct{}),
	}
}

func (c *carrier) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return c.messages, nil
}

func (c *carrier) Close() error {
	c.once.Do(func() {
		close(c.closed)
		close(c.messages)
	})
	return nil
}

// Done counts a completion.
func (c *carrier) Done(item *batch.Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done[item]++
	close(c.moved)
	c.moved = make(chan struct{})
}

// send sends payloads as one batch and returns when it is taken over.
func (c *carrier) send(t testing.TB, payloads ...string) []*batch.Item {
	t.Helper()
	items := make([]*batch.Item, len(payloads))
	for i, p := range payloads {
		items[i] = &batch.Item{Topic: "topic", Time: time.Unix(1_700_000_000, 0), Payload: []byte(p), Owner: c}
	}
	c.sendItems(t, items)
	return items
}

func (c *carrier) sendItems(t testing.TB, items []*batch.Item) {
	t.Helper()
	b := &batch.Batch{Items: items}
	msg := message.NewMessage("", nil)
	msg.SetContext(batch.NewContext(context.Background(), b))
	c.mu.Lock()
	c.items = append(c.items, items...)
	c.mu.Unlock()
	receive(t, "the router to take a message", trySend(c.messages, msg))
	receive(t, "the ack of a batch", msg.Acked())
	if !b.Taken() {
		t.Error("the batch was acked but not taken over")
	}
}

func trySend(ch chan<- *message.Message, msg *message.Message) <-chan struct{} {
	sent := make(chan struct{})
	go func() {
		ch <- msg
		close(sent)
	}()
	return sent
}

// await waits until each of the items is done, and checks that each is done once.
func (c *carrier) await(t testing.TB, items []*batch.Item) {
	t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		open := 0
		for _, item := range items {
			if c.done[item] == 0 {
				open++
			}
		}
		moved := c.moved
		c.mu.Unlock()
		if open == 0 {
			break
		}
		select {
		case <-moved:
		case <-deadline:
			t.Fatalf("%d of %d items are not done", open, len(items))
		}
	}
	c.exactlyOnce(t)
}

func (c *carrier) exactlyOnce(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for item, n := range c.done {
		if n != 1 {
			t.Errorf("Done was called %d times for %s", n, item.Payload)
		}
	}
}

func (c *carrier) isDone(item *batch.Item) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done[item] > 0
}

// receive waits for a signal.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

// running is a router under test.
type running struct {
	*Router
	*carrier
	logs  *logs
	stop  context.CancelFunc
	ended chan error
}

// start runs cfg on a carrier (all channels share it) until the test ends.
func start(t testing.TB, cfg Config, opts Options) *running {
	t.Helper()
	r := &running{carrier: newCarrier(), logs: &logs{}, ended: make(chan error, 1)}
	if opts.Subscriber == nil {
		opts.Subscriber = func(Channel) (message.Subscriber, error) { return r.carrier, nil }
	}
	opts.Logger = r.logs.logger()
	var err error
	if r.Router, err = New(cfg, opts); err != nil {
		t.Fatalf("New: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() {
		r.ended <- r.Run(ctx)
		close(r.ended)
	}()
	t.Cleanup(func() {
		stop()
		_ = receive(t, "Run to return", r.ended)
	})
	receive(t, "the router to run", r.Running())
	return r
}

// handlers makes specs of handlers that exist already.
func handlers(named map[string]Handler) []HandlerSpec {
	var specs []HandlerSpec
	for name, h := range named {
		specs = append(specs, HandlerSpec{Name: name, New: func(Env) (Handler, error) { return h, nil }})
	}
	return specs
}

// one is a configuration with the channel "in" and a route to h for every type.
func one(h Handler) Config {
	return Config{
		Channels: []Channel{{Name: "in"}},
		Handlers: handlers(map[string]Handler{"h": h}),
		Routes:   []Route{{Channel: "in", Types: []string{"*"}, Handler: "h"}},
	}
}

var accepting = HandlerFunc(func(context.Context, *Event) error { return nil })

// decode runs payload through DecodeJSON and returns the events that come out.
func decode(ch Channel, payload string) ([]Event, error) {
	var events []Event
	next := func(msg *message.Message) ([]*message.Message, error) {
		events = append(events, *EventFrom(msg.Context()))
		return nil, nil
	}
	msg := message.NewMessage("uuid", []byte(payload))
	_, err := DecodeJSON(ch)(next)(msg)
	return events, err
}

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs (run with -update to accept):\n%s", file, got)
	}
}
