package transport

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/batch"
)

const (
	leaseFor  = 6 * time.Second
	watchMost = 500 * time.Millisecond // between two looks at a lease that somebody else holds
)

// LeaseConfig says what is leased, and where its holder publishes.
type LeaseConfig struct {
	Source string // the name of the lease
	// Alone is without a lease: every process is a holder of its own.
	Alone bool
	// For is how long a holder may be out of reach before another takes over; 0: 6 s.
	For time.Duration

	Topic  string // where [Term.Publish] publishes
	Stream bool   // it is a stream
	MaxLen int64  // about how many entries the stream keeps; 0: all
}

// Lease lets one process at a time, of all that share this Redis, be the holder of a source.
//
// No clock decides. The holder changes a record in Redis every third of For. Who waits looks
// at it, and takes it over when it has stood still for the whole of For, by the waiting
// process' own monotonic clock and on one connection. The holder stops when 0.7 of For have
// passed since it sent the last renewal that succeeded, by its own clock. So what has to
// agree is how long a second is, within a quarter.
type Lease struct {
	r   *Redis
	cfg LeaseConfig
}

// Lease returns a lease. It asks Redis nothing.
func (r *Redis) Lease(cfg LeaseConfig) *Lease {
	if cfg.For <= 0 {
		cfg.For = leaseFor
	}
	return &Lease{r: r, cfg: cfg}
}

// Acquire waits until this process holds the lease. Only the end of ctx ends it with an error,
// or that of the Redis: trouble is logged once, and waited out. The caller must release the
// term, also after its Done is closed.
//
// A first holder waits, too: a record that is missing may be one that Redis has lost.
func (l *Lease) Acquire(ctx context.Context) (*Term, error) {
	if l.cfg.Alone {
		return l.alone(ctx)
	}
	w := l.watch()
	term, err := w.wait(ctx)
	w.rest()
	l.r.leases.Delete(l.cfg.Source)
	if err != nil {
		_ = w.client.Close()
	}
	return term, err
}

// leaseEnded says why waiting for a lease has ended.
func (r *Redis) leaseEnded(ctx context.Context, source string) error {
	err := ctx.Err()
	if err == nil {
		err = ErrClosed
	}
	return fmt.Errorf("lease of source %q: %w", source, err)
}

// holds is how long a term lasts after the last renewal was sent. What is left of For is
// for clocks that run at different speeds, and for closing the session.
func (l *Lease) holds() time.Duration { return l.cfg.For * 7 / 10 }

func (l *Lease) key() string { return leasePrefix + l.cfg.Source }

// report logs the beginning and the end of a trouble of who waits.
func (l *Lease) report(ctx context.Context, refused *episode, err error) {
	switch {
	case err == nil:
		l.r.link.up()
		l.r.leases.Delete(l.cfg.Source)
		if after, was := refused.end(); was {
			l.r.log.Info("lease can be asked for again", "source", l.cfg.Source, "after", after)
		}
	case ctx.Err() != nil:
	case !isReply(err):
		l.r.link.down(err)
	default:
		l.r.leases.Store(l.cfg.Source, err)
		if !refused.begin() {
			return
		}
		l.r.log.Error("lease cannot be asked for; trying again until it can", "source", l.cfg.Source, "key", l.key(), "err", err)
	}
}

// LeaseTrouble is why this process, which waits for the lease of a source, does not learn who
// holds it; nil: it does, or Redis does not answer at all.
func (r *Redis) LeaseTrouble(source string) error {
	err, _ := r.leases.Load(source)
	trouble, _ := err.(error)
	return trouble
}

// watch is one wait for a lease.
type watch struct {
	l       *Lease
	token   string // of this wait: an answer that was lost can be had again
	client  *redis.Client
	conn    *redis.Conn
	seen    *sighting
	refused episode
}

// sighting is a record, and since when it stands like that.
type sighting struct {
	epoch, beat string // empty: there is no record
	since       time.Time
	stands      time.Duration // for so long it must
}

func (l *Lease) watch() *watch {
	w := &watch{
		l: l, token: rand.Text(),
		client: l.r.client(func(opts *redis.Options) { opts.PoolSize = 2 }), // to renew, and for a Publish that has to
	}
	w.look()
	return w
}

// wait waits for the lease and begins a term.
func (w *watch) wait(ctx context.Context) (*Term, error) {
	l := w.l
	for {
		sent := time.Now()
		grant, beat, err := w.once(ctx)
		l.report(ctx, &w.refused, err)
		if grant != nil && elapsed(sent) < l.holds() { // else it is granted again
			return l.begin(w, *grant, sent, beat)
		}
		if !l.r.pauseOpen(ctx, jitter(min(l.cfg.For/6, watchMost))) {
			return nil, l.r.leaseEnded(ctx, l.cfg.Source)
		}
	}
}

// look begins to look at the record on a new connection. What was seen on another does not
// count: that may have been another server, or one that has lost its last writes since.
func (w *watch) look() {
	if w.conn != nil {
		_ = w.conn.Close()
	}
	w.conn, w.seen = w.client.Conn(), nil
}

// rest ends looking.
func (w *watch) rest() { _ = w.conn.Close() }

// once takes the lease, if it may be taken: then the grant is not nil.
func (w *watch) once(ctx context.Context) (*batch.Grant, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	r, cfg := w.l.r, w.l.cfg
	if err := r.releaseLate(ctx, w); err != nil {
		return nil, 0, err
	}
	args := []any{r.consumer, r.cfg.Service, w.token, cfg.For.Milliseconds(), r.epochs.known(cfg.Source)}
	// Not elapsed: a clock that was set ahead must not end somebody's term.
	var stood time.Duration
	if seen := w.seen; seen != nil && time.Since(seen.since) >= seen.stands {
		stood = time.Since(seen.since)
		args = append(args, 1, seen.epoch, seen.beat)
	} else {
		args = append(args, 0, "", "")
	}
	reply, err := r.scripts.acquire.run(ctx, w.conn, w.l.key(), args...).Slice()
	if err != nil {
		w.look()
		return nil, 0, err
	}
	return w.read(reply, stood)
}

// read reads the answer of acquireScript, to one who has seen the record stand for so long.
func (w *watch) read(reply []any, stood time.Duration) (*batch.Grant, int64, error) {
	if len(reply) < 4 {
		return nil, 0, fmt.Errorf("lease of source %q: %d values in the answer, want 4 or 6", w.l.cfg.Source, len(reply))
	}
	text := func(i int) string { return fmt.Sprint(reply[i]) }
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(text(i), 10, 64)
		return n
	}
	ms := func(i int) time.Duration { return time.Duration(number(i)) * time.Millisecond }
	epoch := number(1)
	w.l.r.epochs.learn(w.l.cfg.Source, epoch)
	if reply[0] == int64(1) && len(reply) == 6 {
		grant := &batch.Grant{Epoch: epoch, Orderly: text(3) == "1", Silent: ms(4)}
		if stood > 0 {
			grant.Gone = max(0, max(stood, ms(5))-w.seen.stands*7/10)
		}
		return grant, number(2), nil
	}
	if seen := w.seen; seen == nil || seen.epoch != text(1) || seen.beat != text(2) {
		// Counted from after the answer: before it, the record may have changed.
		w.seen = &sighting{
			epoch: text(1), beat: text(2), since: time.Now(),
			stands: max(w.l.cfg.For, ms(3)), // of holders that have more time
		}
	}
	return nil, 0, nil
}

// epochs are the highest epochs that this process has seen, by source: Redis may forget.
type epochs struct {
	mu sync.Mutex
	of map[string]int64
}

func (e *epochs) known(source string) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.of[source]
}

func (e *epochs) learn(source string, epoch int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = make(map[string]int64)
	}
	e.of[source] = max(e.of[source], epoch)
}
