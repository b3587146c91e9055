package transport

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// topicKey is what Redis is asked for.
type topicKey struct {
	name    string
	pattern bool
}

// topic is one name or pattern and who wants it.
type topic struct {
	key       topicKey
	subs      []*pubsubSub // replaced, never changed: the reader iterates without the lock
	confirmed bool         // on the current connection
	lostAt    time.Time    // when its last connection was lost; zero: never
	refused   bool         // Redis answered the subscription with an error
	retryAt   time.Time    // when to ask again after that
}

// hub fans the one shared Pub/Sub connection out to the subscriptions.
//
// Its run goroutine owns the connection: it dials, writes every command, watches for
// silence. A second goroutine, started for each connection, only reads and queues.
type hub struct {
	r       *Redis
	log     *slog.Logger
	changed chan struct{} // capacity 1: topics came or went

	mu      sync.Mutex
	topics  map[topicKey]*topic
	started bool
	ended   bool

	cancel context.CancelFunc
	ctx    context.Context // the run goroutine's own
	wg     sync.WaitGroup
}

func newHub(r *Redis) *hub {
	ctx, cancel := context.WithCancel(context.Background())
	return &hub{
		r:       r,
		log:     r.log,
		changed: make(chan struct{}, 1),
		topics:  make(map[topicKey]*topic),
		ctx:     ctx,
		cancel:  cancel,
	}
}

// join adds a subscription; the first one starts the hub.
func (h *hub) join(s *pubsubSub) {
	h.mu.Lock()
	t := h.topics[s.key]
	if t == nil {
		t = &topic{key: s.key}
		h.topics[s.key] = t
	}
	t.subs = append(slices.Clip(t.subs), s)
	s.ready.set(t.confirmed)
	if t.confirmed {
		s.confirmed()
	}
	if !h.started && !h.ended {
		h.started = true
		h.wg.Go(h.run)
	}
	h.mu.Unlock()
	h.poke()
}

// leave removes a subscription; nothing is pushed to it afterwards but what the
// reader is pushing right now.
func (h *hub) leave(s *pubsubSub) {
	h.mu.Lock()
	t := h.topics[s.key]
	var rest []*pubsubSub
	for _, other := range t.subs {
		if other != s {
			rest = append(rest, other)
		}
	}
	t.subs = rest
	if len(rest) == 0 {
		delete(h.topics, s.key)
	}
	h.mu.Unlock()
	h.poke()
}

func (h *hub) poke() { signal(h.changed) }

// end stops the hub and waits for it.
func (h *hub) end() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.cancel()
	h.wg.Wait()
}

// run keeps one connection while anything is subscribed to.
func (h *hub) run() {
	// RESP2 because a reader of RESP3 looks for push notifications before each message.
	client := h.r.client(func(o *redis.Options) { o.Protocol = 2 })
	defer func() { _ = client.Close() }()
	var retry backoff
	for h.ctx.Err() == nil {
		if !h.wanted() {
			select {
			case <-h.changed:
			case <-h.ctx.Done():
			}
			continue
		}
		conn := newHubConn(h, client)
		if conn.live() {
			retry.reset()
		}
		h.lost(conn)
		h.reportDropped()
		pause(h.ctx, retry.next())
	}
}

func (h *hub) wanted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.topics) > 0
}

// lost marks all topics as not confirmed, since conn ended.
func (h *hub) lost(conn *hubConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.topics {
		if t.confirmed {
			t.confirmed = false
			t.lostAt = conn.lostAt
		}
		t.retryAt = time.Time{}
		for _, s := range t.subs {
			s.ready.set(false)
		}
	}
}

// confirm notes that Redis acknowledged a subscription. It returns how long the topic
// was blind: 0 when this was its first connection.
func (h *hub) confirm(t *topic) time.Duration {
	h.mu.Lock()
	if t.confirmed || h.topics[t.key] != t {
		h.mu.Unlock()
		return 0
	}
	t.confirmed, t.refused = true, false
	var blind time.Duration
	if !t.lostAt.IsZero() {
		blind = max(time.Since(t.lostAt), 1)
	}
	subs := t.subs
	for _, s := range subs {
		s.ready.set(true)
		s.confirmed()
	}
	h.mu.Unlock()
	if blind > 0 {
		h.r.lose(Loss{Topic: t.key.name, Reason: LossGap, Blind: blind})
	}
	return blind
}

// refuse notes that Redis does not permit a subscription; it is asked for again later.
func (h *hub) refuse(t *topic, err error) {
	h.mu.Lock()
	first := !t.refused
	t.refused = true
	t.retryAt = time.Now().Add(refusedPause)
	h.mu.Unlock()
	if first {
		h.log.Error("redis refuses the subscription; trying again", "topic", t.key.name, "err", err)
	}
}

// dispatch queues a message that arrived at that time (Unix, ns) with everyone who wants it.
func (h *hub) dispatch(msg *redis.Message, at int64) {
	key := topicKey{name: msg.Channel}
	if msg.Pattern != "" {
		key = topicKey{name: msg.Pattern, pattern: true}
	}
	h.mu.Lock()
	t := h.topics[key]
	if t == nil {
		h.mu.Unlock()
		return
	}
	subs := t.subs
	h.mu.Unlock()
	name := msg.Channel
	if !key.pattern {
		name = t.key.name // keeps one string alive instead of one per message
	}
	// The string was made for this message and nobody else has it, so its bytes
	// may be used without copying them.
	payload := bytesOf(msg.Payload)
	for _, s := range subs {
		s.push(arrival{topic: name, payload: payload, at: at})
	}
}

func (h *hub) reportDropped() {
	h.mu.Lock()
	var subs []*pubsubSub
	for _, t := range h.topics {
		subs = append(subs, t.subs...)
	}
	h.mu.Unlock()
	for _, s := range subs {
		s.reportDropped()
	}
}
