package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// lifetime is what every subscription has, whatever carries it.
type lifetime struct {
	topic  string
	ctx    context.Context // ends when the subscription is to end
	cancel context.CancelFunc
	closed chan struct{} // closed when it has ended
	ready  *gate
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

// subscriber is a message.Subscriber: it starts subscriptions and ends them together.
type subscriber struct {
	start func(ctx context.Context, topic string) (*lifetime, <-chan *message.Message, error)

	mu     sync.Mutex
	closed bool
	subs   []*lifetime
}

// Subscribe returns at once and connects in the background.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("subscribe to %q: %w", topic, ErrClosed)
	}
	l, messages, err := s.start(ctx, topic)
	if err != nil {
		return nil, err
	}
	s.subs = append(slices.DeleteFunc(s.subs, (*lifetime).hasEnded), l)
	return messages, nil
}

// Close ends the subscriber's subscriptions and returns when they have ended. It
// closes no client, and completions of events still count afterwards.
func (s *subscriber) Close() error {
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
