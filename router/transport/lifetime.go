package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// lifetime is what every subscription has, whatever carries it.
type lifetime struct {
	topic  string
	ctx    context.Context // ends when the subscription is to end
	cancel context.CancelFunc
	closed chan struct{} // closed when it has ended
	ready  *gate
	limit  func(Limits) // changes its limits while it runs
	// backlog is what waits in it, and what it has handed over that is not done.
	backlog func() (queued, inHand int)
}

// begin registers a new subscription. The values of parent reach the messages, its
// end ends the subscription.
func (r *Redis) begin(parent context.Context, topic string) (*lifetime, error) {
	if topic == "" {
		return nil, errors.New("subscribe: topic is empty")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("subscribe to %q: %w", topic, ErrClosed)
	}
	ctx, cancel := context.WithCancel(parent)
	l := &lifetime{topic: topic, ctx: ctx, cancel: cancel, closed: make(chan struct{}), ready: newGate()}
	r.subs[l] = struct{}{}
	return l, nil
}

func (l *lifetime) hasEnded() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// finish unregisters a subscription that has ended.
func (r *Redis) finish(l *lifetime) {
	l.cancel()
	r.mu.Lock()
	delete(r.subs, l)
	r.mu.Unlock()
	close(l.closed)
}

// Limits are what of a subscription can change while it runs. Zero values are the
// defaults of [PubSubConfig] and [StreamConfig].
type Limits struct {
	InFlight   int
	Queue      int                                       // only for Pub/Sub
	QueueBytes int                                       // likewise
	Key        func(topic string, payload []byte) string // likewise
	ClaimAfter time.Duration                             // only for streams
}

// Subscriber is a message.Subscriber: it starts subscriptions and ends them together.
type Subscriber struct {
	start func(ctx context.Context, topic string) (*lifetime, <-chan *message.Message, error)

	mu     sync.Mutex
	closed bool
	limits *Limits // nil: as it was made
	subs   []*lifetime
}

// Limit gives the subscriptions other limits. What a smaller queue cannot hold is
// dropped and reported as if it had overflowed.
func (s *Subscriber) Limit(to Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = &to
	for _, l := range s.subs {
		l.limit(to)
	}
}

// Backlog is how many messages wait in this process, and how many were handed over and
// are not done.
func (s *Subscriber) Backlog() (queued, inHand int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.subs {
		if !l.hasEnded() {
			q, h := l.backlog()
			queued, inHand = queued+q, inHand+h
		}
	}
	return queued, inHand
}

// Subscribe returns at once and connects in the background.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("subscribe to %q: %w", topic, ErrClosed)
	}
	l, messages, err := s.start(ctx, topic)
	if err != nil {
		return nil, err
	}
	if s.limits != nil {
		l.limit(*s.limits)
	}
	s.subs = append(slices.DeleteFunc(s.subs, (*lifetime).hasEnded), l)
	return messages, nil
}

// Close ends the subscriber's subscriptions and returns when they have ended. It
// closes no client, and completions of events still count afterwards.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	subs := s.subs
	s.mu.Unlock()
	for _, l := range subs {
		l.cancel()
	}
	for _, l := range subs {
		<-l.closed
	}
	return nil
}
