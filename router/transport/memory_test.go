package transport

import (
	"context"
	"slices"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
)

// TestMemoryContract is the part of the contract that memory keeps: it knows neither
// batches nor a window, and Publish returns when the message is acknowledged.
func TestMemoryContract(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, m memory){
		"bytes":       memoryBytes,
		"outstanding": memoryOutstanding,
		"nack":        memoryNack,
		"several":     memorySeveral,
		"context end": memoryContextEnd,
		"close":       memoryClose,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := memory{NewMemory(nil)}
			t.Cleanup(func() { _ = m.Close() })
			test(t, m)
		})
	}
}

// memory is what NewMemory returns.
type memory struct{ *gochannel.GoChannel }

func (m memory) subscribe(ctx context.Context, t *testing.T) <-chan *message.Message {
	t.Helper()
	messages, err := m.Subscribe(ctx, "ch")
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// send publishes in the background and tells when all is acknowledged.
func (m memory) send(payloads ...string) <-chan error {
	published := make(chan error, 1)
	go func() { published <- m.Publish("ch", messagesOf(payloads...)...) }()
	return published
}

func memoryBytes(t *testing.T, m memory) {
	messages := m.subscribe(t.Context(), t)
	want := []string{"", "\x00\xff", `{"a": 1}`, " \n", "ü€😀"}
	published := m.send(want...)
	var got []string
	for range want {
		msg := receive(t, messages)
		got = append(got, string(msg.Payload))
		msg.Ack()
	}
	if err := <-published; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func memoryOutstanding(t *testing.T, m memory) {
	messages := m.subscribe(t.Context(), t)
	published := m.send("a", "b")
	first := receive(t, messages)
	select {
	case msg := <-messages:
		t.Errorf("%q came before the one before it was acknowledged", msg.Payload)
	case err := <-published:
		t.Errorf("Publish returned before its messages were acknowledged: %v", err)
	default:
	}
	first.Ack()
	receive(t, messages).Ack()
	if err := <-published; err != nil {
		t.Error(err)
	}
}

func memoryNack(t *testing.T, m memory) {
	messages := m.subscribe(t.Context(), t)
	published := m.send("a", "b")
	receive(t, messages).Nack()
	for _, want := range []string{"a", "b"} {
		msg := receive(t, messages)
		if string(msg.Payload) != want {
			t.Errorf("got %q, want %q", msg.Payload, want)
		}
		msg.Ack()
	}
	if err := <-published; err != nil {
		t.Error(err)
	}
}

func memorySeveral(t *testing.T, m memory) {
	one, two := m.subscribe(t.Context(), t), m.subscribe(t.Context(), t)
	published := m.send("a")
	for _, messages := range []<-chan *message.Message{one, two} {
		msg := receive(t, messages)
		if string(msg.Payload) != "a" {
			t.Errorf("got %q", msg.Payload)
		}
		msg.Ack()
	}
	if err := <-published; err != nil {
		t.Error(err)
	}
}

func memoryContextEnd(t *testing.T, m memory) {
	ctx, end := context.WithCancel(t.Context())
	messages := m.subscribe(ctx, t)
	end()
	ended(t, messages)
	if err := <-m.send("nobody listens"); err != nil {
		t.Error(err)
	}
}

func memoryClose(t *testing.T, m memory) {
	messages := m.subscribe(t.Context(), t)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	ended(t, messages)
	if err := <-m.send("a"); err == nil {
		t.Error("a closed one published")
	}
}
