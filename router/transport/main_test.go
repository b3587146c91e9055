package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"
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

// victimEnv makes the test binary a consumer that takes entries over and never
// finishes them, for tests that kill it.
const victimEnv = "SIGNALBOX_TEST_VICTIM"

func TestMain(m *testing.M) {
	if url := os.Getenv(victimEnv); url != "" {
		victim(url)
		return
	}
	if url := os.Getenv(holderEnv); url != "" {
		holder(url)
		return
	}
	goleak.VerifyTestMain(m)
}

// victim reads the stream "work" in the group "bot" until it is killed.
func victim(url string) {
	r, err := Open(Config{URL: url, Service: "victim"}, nil)
	if err != nil {
		panic(err)
	}
	messages, err := r.Stream(StreamConfig{Group: "bot", MaxBatch: 256}).Subscribe(context.Background(), "work")
	if err != nil {
		panic(err)
	}
	for msg := range messages {
		items := batch.FromContext(msg.Context()).Take()
		fmt.Println(len(items))
		msg.Ack()
	}
}

// age makes the last renewal of the alive mark older.
func (a *alive) age(by time.Duration) {
	last := time.Now().Add(-by)
	a.last.Store(&last)
}

// patience is how long a test waits for what must happen. A test binary under -race
// on a busy machine is slow; nothing waits that long when all is well.
const patience = 20 * time.Second

// logbook keeps what is logged.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// losses keeps what OnLoss is told.
type losses struct {
	mu   sync.Mutex
	list []Loss
}

func (l *losses) add(loss Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, loss)
}

func (l *losses) events(reason string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, loss := range l.list {
		if loss.Reason == reason {
			n += loss.Events
		}
	}
	return n
}

func (l *losses) gaps() []Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Loss
	for _, loss := range l.list {
		if loss.Reason == LossGap {
			list = append(list, loss)
		}
	}
	return list
}

// node is a Redis as one process would have it.
type node struct {
	*Redis
	log  *logbook
	lost *losses
}

func open(t testing.TB, url string) node {
	t.Helper()
	n := node{log: &logbook{}, lost: &losses{}}
	var w io.Writer = n.log
	r, err := Open(Config{URL: url, Service: "bot", OnLoss: n.lost.add},
		slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	n.Redis = r
	t.Cleanup(func() {
		_ = r.Close()
		if t.Failed() {
			t.Logf("log of %s:\n%s", r.consumer, n.log)
		}
	})
	return n
}

// subscribe subscribes and waits until Redis has confirmed it.
func subscribe(t testing.TB, n node, sub message.Subscriber, topic string) <-chan *message.Message {
	t.Helper()
	messages, err := sub.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ready(t, n)
	return messages
}

func ready(t testing.TB, n node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// receive returns the next message.
func receive(t testing.TB, messages <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case msg, ok := <-messages:
		if !ok {
			t.Fatal("message channel was closed")
		}
		return msg
	case <-time.After(patience):
		t.Fatal("no message arrived")
	}
	return nil
}

// none asserts that nothing arrives for a while.
func none(t testing.TB, messages <-chan *message.Message, while time.Duration) {
	t.Helper()
	select {
	case msg, ok := <-messages:
		if ok {
			t.Fatalf("unexpected message %q (%s)", msg.Payload, msg.UUID)
		}
	case <-time.After(while):
	}
}

// take takes the items of the next message over and acks it.
func take(t testing.TB, messages <-chan *message.Message) []*batch.Item {
	t.Helper()
	msg := receive(t, messages)
	items := batch.FromContext(msg.Context()).Take()
	msg.Ack()
	return items
}

// collect completes n events and returns their payloads, in order.
func collect(t testing.TB, messages <-chan *message.Message, n int) []string {
	t.Helper()
	var payloads []string
	for len(payloads) < n {
		for _, item := range take(t, messages) {
			payloads = append(payloads, string(item.Payload))
			item.Owner.Done(item)
		}
	}
	return payloads
}

// ended waits until the message channel is closed, discarding what still comes.
func ended(t testing.TB, messages <-chan *message.Message) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case msg, ok := <-messages:
			if !ok {
				return
			}
			msg.Ack()
		case <-deadline:
			t.Fatal("message channel was not closed")
		}
	}
}

// eventually waits for a condition that has no signal of its own.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// pendingOf returns how many entries the group "bot" has pending.
func pendingOf(t testing.TB, n node, stream string) int {
	t.Helper()
	p, err := n.Client().XPending(context.Background(), stream, "bot").Result()
	if err != nil {
		return -1
	}
	return int(p.Count)
}

func texts(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"type":"tick","n":%d}`, i)
	}
	return list
}

func messagesOf(payloads ...string) []*message.Message {
	msgs := make([]*message.Message, len(payloads))
	for i, p := range payloads {
		msgs[i] = message.NewMessage(fmt.Sprintf("uuid-%d", i), []byte(p))
	}
	return msgs
}
