package transport

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

func TestSendReports(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	messages := subscribe(t, n, n.PubSub(PubSubConfig{MaxBatch: 8}), "ch")
	receivers, err := n.PubSubPublisher().Send(t.Context(), "ch", messagesOf("a", "b")...)
	if err != nil || len(receivers) != 2 || receivers[0] != 1 || receivers[1] != 1 {
		t.Fatalf("receivers %v, %v", receivers, err)
	}
	collect(t, messages, 2)
	ids, err := n.StreamPublisher(0).Send(t.Context(), "work", messagesOf(texts(600)...)...)
	if err != nil || len(ids) != 600 {
		t.Fatalf("%d ids, %v", len(ids), err)
	}
	entries := n.Client().XRange(t.Context(), "work", "-", "+").Val()
	for i, entry := range entries {
		if entry.ID != ids[i] || entry.Values[payloadField] != texts(600)[i] {
			t.Fatalf("entry %d is %v, want id %s", i, entry, ids[i])
		}
	}
}

func TestStreamLayout(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	msg := message.NewMessage("the-uuid", []byte("{}"))
	msg.Metadata.Set("signalbox_reason", "handler failed")
	if err := n.StreamPublisher(10).Publish("work", msg); err != nil {
		t.Fatal(err)
	}
	entry := n.Client().XRange(t.Context(), "work", "-", "+").Val()[0]
	want := map[string]any{
		payloadField: "{}", metadataField: "", uuidField: "the-uuid", "signalbox_reason": "handler failed",
	}
	if len(entry.Values) != len(want) {
		t.Fatalf("entry %v", entry.Values)
	}
	for name, value := range want {
		if entry.Values[name] != value {
			t.Errorf("field %s is %v, want %v", name, entry.Values[name], value)
		}
	}
	if err := n.StreamPublisher(10).Publish("work", messagesOf(texts(2000)...)...); err != nil {
		t.Fatal(err)
	}
	if length := n.Client().XLen(t.Context(), "work").Val(); length > 300 {
		t.Errorf("%d entries kept, want about 10", length)
	}
}

// What is written by hand is what the marshaller writes.
func TestEntryFieldsAreWatermills(t *testing.T) {
	msg := message.NewMessage("the-uuid", []byte(`{"type":"a"}`))
	marshaled, err := redisstream.DefaultMarshallerUnmarshaller{}.Marshal("work", &message.Message{UUID: msg.UUID, Payload: msg.Payload})
	if err != nil {
		t.Fatal(err)
	}
	fields, err := entryFields(msg)
	if err != nil || len(fields) != 2*len(marshaled) {
		t.Fatalf("%q, %v; want %q", fields, err, marshaled)
	}
	for i := 0; i < len(fields); i += 2 {
		if want := marshaled[fields[i].(string)]; fmt.Sprintf("%s", fields[i+1]) != fmt.Sprintf("%s", want) {
			t.Errorf("%s is %q, want %q", fields[i], fields[i+1], want)
		}
	}
}

func TestPublishPartly(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	msgs := messagesOf("a", "b", "c")
	msgs[1].Metadata.Set(payloadField, "reserved")
	ids, err := n.StreamPublisher(0).Send(t.Context(), "work", msgs...)
	errs, ok := errors.AsType[batch.Errors](err)
	if !ok || len(errs) != 3 || errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Fatalf("got %#v", err)
	}
	if ids[0] == "" || ids[1] != "" || ids[2] == "" {
		t.Fatalf("ids %q", ids)
	}
	n.Client().Set(t.Context(), "text", "x", 0)
	begin := time.Now()
	if err := n.StreamPublisher(0).Publish("text", msgs[0]); !hasReply(err, "WRONGTYPE") {
		t.Fatalf("got %v", err)
	}
	if time.Since(begin) > time.Second {
		t.Fatal("a final error was tried again")
	}
}

func TestPublishWaitsForRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Absent())
	n := open(t, server.URL())
	results := make(chan error, 2)
	for _, pub := range []message.Publisher{n.PubSubPublisher(), n.StreamPublisher(0)} {
		go func() { results <- pub.Publish("ch-"+t.Name(), messagesOf("a")...) }()
	}
	eventually(t, "an attempt has failed", func() bool { return n.Client().PoolStats().Misses >= 2 })
	server.Restart()
	for range 2 {
		if err := <-results; err != nil && !hasReply(err, "WRONGTYPE") {
			t.Fatal(err)
		}
	}
	server.Kill()
	begin := time.Now()
	if err := n.StreamPublisher(0).Publish("ch", messagesOf("a")...); err == nil {
		t.Fatal("published to a redis that is away")
	}
	if took := time.Since(begin); took > 2*publishFor {
		t.Fatalf("gave up after %v", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.StreamPublisher(0).Send(ctx, "ch", messagesOf("a")...); err == nil {
		t.Fatal("sent with a context that has ended")
	}
	ended := message.NewMessageWithContext(ctx, "", []byte("a"))
	for _, pub := range []message.Publisher{n.PubSubPublisher(), n.StreamPublisher(0)} {
		if err := pub.Publish("ch", ended); !errors.Is(err, context.Canceled) {
			t.Errorf("published for a caller that has given up: %v", err)
		}
		if err := pub.Publish("ch"); err != nil {
			t.Errorf("published nothing: %v", err)
		}
	}
}

func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err              error
		notSent, unknown bool
	}{
		"eof":      {err: errors.New("EOF"), unknown: true},
		"timeout":  {err: context.DeadlineExceeded, unknown: true},
		"canceled": {err: context.Canceled},
		"closed":   {err: redis.ErrClosed},
	} {
		if notSent(c.err) != c.notSent || unknownOutcome(c.err) != c.unknown {
			t.Errorf("%s: not sent %v, unknown %v", name, notSent(c.err), unknownOutcome(c.err))
		}
	}
}
