package transport

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
	"signalbox/router/internal/queue"
)

// PubSubConfig says how Pub/Sub channels are subscribed to.
type PubSubConfig struct {
	Pattern    bool // topics are patterns (PSUBSCRIBE)
	MaxBatch   int  // events in one message, at most; 0: 1
	InFlight   int  // events handed over and not yet done, at most; 0: 1,024
	Queue      int  // events that wait, at most; 0: 65,536
	QueueBytes int  // their payloads' bytes, at most; 0: 32 MiB
	// Key, if not nil, reads the key of a message: of what a full queue cannot hold, the
	// newest event of each key is kept. It must be quick, and empty where there is no key.
	// With nil the oldest events are dropped, whatever they are about.
	Key func(topic string, payload []byte) string
	// Kept, if not nil, reads the events of a topic that were kept: the subscription begins
	// with them, at first and after each gap, before anything that is published meanwhile.
	Kept  func(ctx context.Context, topic string) ([]batch.Kept, error)
	Drain time.Duration // how long an ended subscription works off its queue; 0: 8 s, negative: not at all
}

func (c PubSubConfig) withDefaults() PubSubConfig {
	c.MaxBatch = orDefault(c.MaxBatch, 1)
	c.InFlight = orDefault(c.InFlight, 1024)
	c.Queue = orDefault(c.Queue, 65536)
	c.QueueBytes = orDefault(c.QueueBytes, 32<<20)
	if c.Drain == 0 {
		c.Drain = 8 * time.Second
	}
	return c
}

func orDefault(n, value int) int {
	if n <= 0 {
		return value
	}
	return n
}

// PubSub returns a subscriber to Pub/Sub channels. Its subscriptions share one
// connection with all others of r. What the queue cannot hold is dropped, oldest
// first or what has a newer event of its key, and reported. A nacked message is not sent again.
//
// When a subscription's context ends or the subscriber is closed, nothing more is
// taken from Redis; what is queued is handed over for Drain at most, the rest is
// reported as lost, and the message channel is closed. What Redis had sent but was
// not read yet counts like what is published later: to nobody.
func (r *Redis) PubSub(cfg PubSubConfig) *Subscriber {
	cfg = cfg.withDefaults()
	return &Subscriber{start: func(ctx context.Context, topic string) (*lifetime, <-chan *message.Message, error) {
		l, err := r.begin(ctx, topic)
		if err != nil {
			return nil, nil, err
		}
		s := newPubsubSub(r, cfg, l)
		r.hub.join(s)
		r.wg.Go(s.run)
		return l, s.courier.out, nil
	}}
}

// pubsubSub is one subscription to one name or pattern.
type pubsubSub struct {
	*lifetime
	r        *Redis
	log      *slog.Logger
	cfg      PubSubConfig
	key      topicKey
	courier  courier
	drainEnd chan struct{} // closed: what is still queued is lost

	mu      sync.Mutex
	queue   queue.Bounded[arrival]
	ended   bool          // nothing may be pushed any more
	begins  bool          // the pump is to read what was kept, and hand that over first
	first   []*batch.Item // that
	waiting bool          // the pump waits for an event
	wake    chan struct{} // capacity 1

	inFlight atomic.Int64
	open     atomic.Int64 // handed over and not done
	starved  atomic.Bool  // the pump waits for room in the window
	dropped  atomic.Int64 // by overflow, not yet reported
}

func newPubsubSub(r *Redis, cfg PubSubConfig, l *lifetime) *pubsubSub {
	s := &pubsubSub{
		lifetime: l,
		r:        r,
		log:      r.log.With("topic", l.topic),
		cfg:      cfg,
		key:      topicKey{name: l.topic, pattern: cfg.Pattern},
		queue:    queue.NewBounded(cfg.Queue, cfg.QueueBytes, arrivalKey(cfg.Key)),
		drainEnd: make(chan struct{}),
		wake:     make(chan struct{}, 1),
	}
	s.inFlight.Store(int64(cfg.InFlight))
	l.limit, l.backlog = s.limitTo, s.backlog
	s.courier = courier{
		values:   context.WithoutCancel(l.ctx),
		out:      make(chan *message.Message),
		stop:     s.drainEnd,
		decor:    s.decorate,
		late:     &r.wg,
		lateStop: r.closing,
	}
	return s
}

// limitTo changes the limits while the subscription runs.
func (s *pubsubSub) limitTo(to Limits) {
	cfg := PubSubConfig{InFlight: to.InFlight, Queue: to.Queue, QueueBytes: to.QueueBytes}.withDefaults()
	s.inFlight.Store(int64(cfg.InFlight))
	s.mu.Lock()
	s.dropped.Add(int64(s.queue.Resize(cfg.Queue, cfg.QueueBytes, arrivalKey(to.Key))))
	s.mu.Unlock()
	s.poke()
}

func (s *pubsubSub) backlog() (queued, inHand int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Len() + len(s.first), int(s.open.Load())
}

func (s *pubsubSub) decorate(msg *message.Message, _ *batch.Item) {
	if s.cfg.MaxBatch == 1 { // a consumer of batches has no use for it
		msg.UUID = watermill.NewUUID()
	}
}

// run owns the subscription.
func (s *pubsubSub) run() {
	defer s.r.finish(s.lifetime)
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		s.pump()
	}()
	<-s.ctx.Done()
	s.r.hub.leave(s)
	s.mu.Lock()
	s.ended, s.first = true, nil
	s.mu.Unlock()
	s.poke()
	timer := time.NewTimer(max(0, s.cfg.Drain))
	defer timer.Stop()
	select {
	case <-pumped:
	case <-timer.C:
		close(s.drainEnd)
		<-pumped
	}
	s.reportDropped()
	s.reportLeft()
	close(s.courier.out)
}

// push queues a message. Only the hub's reader calls it, and it never waits.
func (s *pubsubSub) push(a arrival) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	dropped := s.queue.Push(a)
	wake := s.waiting
	s.waiting = false
	s.mu.Unlock()
	if dropped > 0 {
		s.dropped.Add(int64(dropped))
	}
	if wake {
		s.poke()
	}
}

func (s *pubsubSub) poke() { signal(s.wake) }

// Done implements batch.Owner.
func (s *pubsubSub) Done(*batch.Item) {
	s.open.Add(-1)
	if s.starved.Load() {
		s.poke()
	}
}

// pump hands over what is queued until the subscription has ended.
func (s *pubsubSub) pump() {
	for {
		items := s.gather()
		if items == nil {
			return
		}
		if s.courier.deliver(items) == kept {
			s.giveBack(items)
			return
		}
	}
}

// gather returns what is ready, at least one event; nil: there will be none.
func (s *pubsubSub) gather() []*batch.Item {
	for {
		s.mu.Lock()
		if s.begins && !s.ended {
			s.begins = false
			s.mu.Unlock()
			s.readKept()
			continue
		}
		n := min(s.cfg.MaxBatch, max(len(s.first), s.queue.Len()), int(s.inFlight.Load()-s.open.Load()))
		if n > 0 {
			items := s.take(n)
			s.mu.Unlock()
			return items
		}
		if s.ended && s.queue.Len() == 0 {
			s.mu.Unlock()
			return nil
		}
		s.waiting = s.queue.Len() == 0 && len(s.first) == 0
		starved := !s.waiting
		s.mu.Unlock()
		s.starved.Store(starved)
		if s.queueBlocked() {
			select {
			case <-s.wake:
			case <-s.drainEnd:
				return nil
			}
		}
		s.starved.Store(false)
	}
}

// queueBlocked reports whether there still is nothing to hand over, now that whoever
// changes this will poke.
func (s *pubsubSub) queueBlocked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begins && !s.ended {
		return false
	}
	if s.queue.Len() == 0 && len(s.first) == 0 {
		return !s.ended
	}
	return s.open.Load() >= s.inFlight.Load()
}

// take moves n events at most from the queue into items, or from what was kept while
// there is something. The caller holds mu.
func (s *pubsubSub) take(n int) []*batch.Item {
	if len(s.first) > 0 {
		items := s.first[:min(n, len(s.first))]
		s.first = s.first[len(items):]
		s.open.Add(int64(len(items)))
		return items
	}
	slab := make([]batch.Item, n)
	items := make([]*batch.Item, n)
	for i := range slab {
		a := s.queue.Pop()
		slab[i] = batch.Item{Topic: a.topic, Time: time.Unix(0, a.at), Payload: a.payload, Owner: s}
		items[i] = &slab[i]
	}
	s.open.Add(int64(n))
	return items
}

// giveBack queues items again that could not be handed over, to be counted.
func (s *pubsubSub) giveBack(items []*batch.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, item := range items {
		if item.Kept { // it stays where it is kept
			continue
		}
		s.queue.PushFront(arrival{topic: item.Topic, payload: item.Payload})
	}
	s.open.Add(-int64(len(items)))
}

// reportDropped reports what overflowed since the last time; the hub calls it once a
// second.
func (s *pubsubSub) reportDropped() {
	n := int(s.dropped.Swap(0))
	if n == 0 {
		return
	}
	if s.cfg.Key == nil {
		s.log.Warn("pubsub queue overflowed; oldest events dropped", "events", n)
	} else {
		s.log.Warn("pubsub queue overflowed; events dropped for newer ones of their keys", "events", n)
	}
	s.r.lose(Loss{Topic: s.topic, Reason: LossOverflow, Events: n})
}

func (s *pubsubSub) reportLeft() {
	s.mu.Lock()
	n := s.queue.Len()
	s.queue = queue.Bounded[arrival]{}
	s.mu.Unlock()
	if n == 0 {
		return
	}
	s.log.Warn("pubsub events lost at shutdown", "events", n, "drain", s.cfg.Drain)
	s.r.lose(Loss{Topic: s.topic, Reason: LossShutdown, Events: n})
}
