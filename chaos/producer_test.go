//go:build failpoints

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// sent is an event that the producer tried to send.
type sent struct {
	n            int
	acknowledged bool // else nobody knows
	receivers    int64
	at           time.Time // when the answer was there
}

// producer sends events over a connection that no fault touches, and knows what Redis
// has acknowledged.
type producer struct {
	client  *redis.Client
	topic   string
	pubsub  bool
	name    string // stands in the ids
	trim    int64  // MAXLEN of each XADD; 0: none
	padding string // of each event

	mu   sync.Mutex
	next int
	sent map[string]sent
}

// add sends one event for each of what they shall do.
func (p *producer) add(ctx context.Context, do ...string) {
	const slice = 200
	for from := 0; from < len(do); from += slice {
		p.send(ctx, p.client.Pipeline(), do[from:min(len(do), from+slice)])
	}
}

// addAfter sends n events in one transaction with what first does, and after it:
// nothing comes between.
func (p *producer) addAfter(ctx context.Context, first func(redis.Pipeliner), n int) {
	pipe := p.client.TxPipeline()
	first(pipe)
	p.send(ctx, pipe, make([]string, n))
}

func (p *producer) send(ctx context.Context, pipe redis.Pipeliner, do []string) {
	before := pipe.Len()
	ids := make([]string, len(do))
	p.mu.Lock()
	first := p.next
	p.next += len(do)
	p.mu.Unlock()
	for i, what := range do {
		id, message := p.message(first+i, what)
		ids[i] = id
		if p.pubsub {
			pipe.Publish(ctx, p.topic, message)
		} else {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: p.topic, MaxLen: p.trim, Values: []any{"payload", message}})
		}
	}
	answers, _ := pipe.Exec(ctx) // each command has its own error
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, answer := range answers[before:] {
		s := sent{n: first + i, at: now, acknowledged: answer.Err() == nil}
		if n, ok := answer.(*redis.IntCmd); ok {
			s.receivers = n.Val()
		}
		if _, refused := answer.Err().(redis.Error); !refused { //nolint:errorlint // go-redis' own, never wrapped
			p.sent[ids[i]] = s
		}
	}
}

func (p *producer) message(n int, do string) (id string, message []byte) {
	id = fmt.Sprintf("%s-%d", p.name, n)
	d := data{N: n, Do: do, Pad: p.padding}
	d.Sum = d.sum(id)
	message, err := json.Marshal(map[string]any{"id": id, "type": "work", "data": d})
	if err != nil {
		panic(err)
	}
	return id, message
}

// flow sends so many events a second until ctx ends, a few at a time.
func (p *producer) flow(ctx context.Context, perSecond int) {
	const every = 10 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	begin, done := time.Now(), 0
	for ctx.Err() == nil {
		due := int(time.Since(begin).Seconds() * float64(perSecond))
		if due > done {
			p.add(context.WithoutCancel(ctx), make([]string, min(due-done, 1000))...)
			done = due
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// addRaw sends messages that are no events, or are not meant to be handled.
func (p *producer) addRaw(ctx context.Context, messages ...[]byte) error {
	pipe := p.client.Pipeline()
	for _, m := range messages {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: p.topic, Values: []any{"payload", m}})
	}
	_, err := pipe.Exec(ctx)
	return err
}

// last are the last n messages, as they were sent.
func (p *producer) last(n int) [][]byte {
	all := p.events()
	var messages [][]byte
	for i := max(0, all-n); i < all; i++ {
		_, message := p.message(i, "")
		messages = append(messages, message)
	}
	return messages
}

// pad makes events larger from now on.
func (p *producer) pad(text string) { p.padding = text }

// events is how many were sent so far.
func (p *producer) events() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}

// known is a copy of what was sent.
func (p *producer) known() map[string]sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.sent)
}
