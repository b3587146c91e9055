package transport

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/failpoint"
	"signalbox/router/internal/queue"
)

const (
	readMost   = 256 // entries in one XREADGROUP
	readBlock  = time.Second
	readSlack  = 2 * time.Second // how much later than BLOCK a reply may come
	unblockTry = 20 * time.Millisecond
)

// StreamConfig says how streams are read.
type StreamConfig struct {
	// Group is the consumer group; required. It is made when it is missing, and the stream with it.
	Group string
	// StartNew makes a new group begin with what is added from now on instead of with
	// all that the stream holds. A group that vanished is always made again at the beginning.
	StartNew bool
	// Like names a group of the stream. While Group does not exist and that one does, Group
	// begins where that one is: with what it has not delivered yet.
	Like string
	// MaxBatch is how many events one message carries at most; 0: 1.
	MaxBatch int
	// InFlight is how many events are read and not yet done at most; 0: 1,024.
	InFlight int
	// ClaimAfter is the idle time after which entries of consumers that are not
	// Signalbox processes are claimed; 0: 60 s. What is in hand is extended each third of it.
	ClaimAfter time.Duration
	// Routes says, in a word without spaces, what is done with the entries; it may change.
	// Another router of the group that says something else is warned about. nil: nothing is said.
	Routes func() string
}

// Stream returns a subscriber to streams. It reads ahead, up to InFlight entries, and
// acknowledges each when it is done. A nacked message is sent again after a moment.
//
// When a subscription's context ends or the subscriber is closed, reading stops, what
// was not handed over stays pending, and the message channel is closed. What was
// handed over can still be completed until [Redis.Close].
func (r *Redis) Stream(cfg StreamConfig) *Subscriber {
	cfg.MaxBatch = orDefault(cfg.MaxBatch, 1)
	cfg.InFlight, cfg.ClaimAfter = streamLimits(cfg.InFlight, cfg.ClaimAfter)
	return &Subscriber{start: func(ctx context.Context, topic string) (*lifetime, <-chan *message.Message, error) {
		if cfg.Group == "" {
			return nil, nil, fmt.Errorf("subscribe to stream %q: group is empty", topic)
		}
		l, err := r.begin(ctx, topic)
		if err != nil {
			return nil, nil, err
		}
		s := newStreamSub(r, cfg, l)
		s.group.add(s)
		r.wg.Go(s.run)
		return l, s.courier.out, nil
	}}
}

// streamSub is one subscription to one stream.
//
// run owns it; read and pump move the entries; tend looks after what is pending and
// starts takeOver and autoclaim when there is something to claim.
type streamSub struct {
	*lifetime
	r                    *Redis
	log                  *slog.Logger
	cfg                  StreamConfig
	group                *group
	client               *redis.Client // of the reader alone: its commands block
	clientID             atomic.Int64  // of that client's connection; 0: unknown
	courier              courier
	window               *window
	reread               atomic.Bool  // our pending entries may hold some that are not in hand
	trouble              episode      // Redis answers, but with errors
	inFlight, claimAfter atomic.Int64 // cfg's, or what they were changed to
	verified             atomic.Int64 // the alive mark's losses that ownership was checked after
	wg                   sync.WaitGroup

	mu     sync.Mutex
	queue  queue.Deque[*entry]
	unread map[string]int // taken over from a dead consumer and not fetched yet: how often it was delivered
	wake   chan struct{}  // capacity 1: the pump has something to look at

	taking   atomic.Bool // takeOver runs
	claiming atomic.Bool // autoclaim runs
}

func newStreamSub(r *Redis, cfg StreamConfig, l *lifetime) *streamSub {
	s := &streamSub{
		lifetime: l,
		r:        r,
		log:      r.log.With("topic", l.topic, "group", cfg.Group),
		cfg:      cfg,
		group:    r.group(l.topic, cfg.Group),
		window:   newWindow(cfg.InFlight),
		unread:   make(map[string]int),
		wake:     make(chan struct{}, 1),
	}
	s.claimAfter.Store(int64(cfg.ClaimAfter))
	s.inFlight.Store(int64(cfg.InFlight))
	l.limit, l.backlog = s.limitTo, s.backlog
	s.reread.Store(true) // an earlier subscription of this process may have left some
	s.client = r.client(func(o *redis.Options) {
		o.PoolSize = 1
		o.OnConnect = s.connected
	})
	s.courier = courier{
		values:   context.WithoutCancel(l.ctx),
		out:      make(chan *message.Message),
		stop:     l.ctx.Done(),
		resend:   true,
		decor:    decorateEntry,
		late:     &r.wg,
		lateStop: r.closing,
	}
	return s
}

func streamLimits(inFlight int, claimAfter time.Duration) (int, time.Duration) {
	if claimAfter <= 0 {
		claimAfter = time.Minute
	}
	return orDefault(inFlight, 1024), claimAfter
}

// limitTo changes the limits while the subscription runs.
func (s *streamSub) limitTo(to Limits) {
	inFlight, claimAfter := streamLimits(to.InFlight, to.ClaimAfter)
	s.inFlight.Store(int64(inFlight))
	s.claimAfter.Store(int64(claimAfter))
	s.window.resize(inFlight)
}

// backlog counts what is in hand of the whole group: a process has one subscription to it.
func (s *streamSub) backlog() (queued, inHand int) {
	s.mu.Lock()
	queued = s.queue.Len()
	s.mu.Unlock()
	return queued, max(0, s.group.inHand()-queued)
}

// quarter is a quarter of what may be in flight: how much is worth a read.
func (s *streamSub) quarter() int { return max(1, int(s.inFlight.Load())/4) }

// idle is how long entries of others are left alone.
func (s *streamSub) idle() time.Duration { return time.Duration(s.claimAfter.Load()) }

// connected learns the connection's id, to be able to interrupt it.
func (s *streamSub) connected(ctx context.Context, conn *redis.Conn) error {
	id, err := conn.ClientID(ctx).Result()
	if err != nil {
		id = 0 // not every server knows it; then the client is closed instead
	}
	s.clientID.Store(id)
	return nil
}

// run owns the subscription.
func (s *streamSub) run() {
	defer s.r.finish(s.lifetime)
	readEnded := make(chan struct{})
	s.wg.Go(func() {
		defer close(readEnded)
		s.read()
	})
	s.wg.Go(s.pump)
	s.wg.Go(s.tend)
	<-s.ctx.Done()
	s.interrupt(readEnded)
	s.wg.Wait()
	_ = s.client.Close()
	if failpoint.Broken(failpoint.DeleteConsumer) {
		_ = s.r.writer.XGroupDelConsumer(context.Background(), s.topic, s.cfg.Group, s.r.consumer).Err()
	}
	s.group.remove(s, s.undelivered())
	close(s.courier.out)
}

// interrupt ends the reader's blocked command: canceling its context would not.
func (s *streamSub) interrupt(ended <-chan struct{}) {
	for range 5 {
		if id := s.clientID.Load(); id > 0 {
			ctx, cancel := context.WithTimeout(context.Background(), unblockTry)
			_ = s.r.writer.ClientUnblock(ctx, id).Err()
			cancel()
		}
		timer := time.NewTimer(unblockTry)
		select {
		case <-ended:
			timer.Stop()
			return
		case <-timer.C:
		}
		if s.clientID.Load() == 0 {
			break
		}
	}
	_ = s.client.Close()
}

// undelivered returns what is in hand and was not handed over.
func (s *streamSub) undelivered() []*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []*entry
	for s.queue.Len() > 0 {
		entries = append(entries, s.queue.PopFront())
	}
	return entries
}
