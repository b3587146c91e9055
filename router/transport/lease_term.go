package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/batch"
	"signalbox/router/internal/failpoint"
)

// ErrNotHeld is wrapped by the errors of [Term.Publish] after the term: another process may
// hold the source.
var ErrNotHeld = errors.New("the lease is not held any more")

var errOther = errors.New("another process holds it")

// Term is the time in which this process holds a source. Its methods may be called from
// several goroutines.
type Term struct {
	l      *Lease
	grant  batch.Grant
	outlet outlet

	client *redis.Client
	token  string
	begun  time.Time
	beat   atomic.Int64
	last   atomic.Pointer[time.Time] // before the last renewal that succeeded was sent
	failed atomic.Pointer[error]     // why the last one did not; nil: it did

	done, idle, released   chan struct{}
	ending, losing, giving sync.Once

	mu sync.Mutex // of one who publishes
	p  course
}

// begin begins a term that was granted.
func (l *Lease) begin(w *watch, grant batch.Grant, sent time.Time, beat int64) (*Term, error) {
	t := &Term{
		l: l, grant: grant, client: w.client, token: w.token, begun: sent,
		done: make(chan struct{}), idle: make(chan struct{}), released: make(chan struct{}),
	}
	t.outlet = &fenced{t: t}
	t.beat.Store(beat)
	t.last.Store(&sent)
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("lease of source %q: %w", l.cfg.Source, ErrClosed)
	}
	r.wg.Go(t.guard)
	r.wg.Go(t.keep)
	return t, nil
}

// Grant says how the term began.
func (t *Term) Grant() batch.Grant { return t.grant }

// Done is closed when the term is over or was released. Unless the machine itself stood
// still, no other process can hold the source before.
func (t *Term) Done() <-chan struct{} { return t.done }

// left is how long the term lasts if no renewal succeeds.
func (t *Term) left() time.Duration { return t.l.holds() - elapsed(*t.last.Load()) }

// held reports whether the term lasts, and ends it when it should have ended: a process
// that stood still may get here before its timers do.
func (t *Term) held() bool {
	select {
	case <-t.done:
		return false
	default:
	}
	if t.client != nil && t.left() <= 0 && !failpoint.Broken(failpoint.HoldOn) {
		t.lose(t.tooLate())
		return false
	}
	return true
}

func (t *Term) end() { t.ending.Do(func() { close(t.done) }) }

// lose ends the term against our will.
func (t *Term) lose(why error) {
	select {
	case <-t.done:
		return
	default:
	}
	t.losing.Do(func() {
		t.end()
		t.l.r.log.Warn("lease is lost", "source", t.l.cfg.Source, "epoch", t.grant.Epoch, "err", why)
	})
}

// tooLate says why the term ends by itself.
func (t *Term) tooLate() error {
	if err := t.failed.Load(); err != nil {
		return fmt.Errorf("it could not be renewed for %s: %w", t.l.holds(), *err)
	}
	return fmt.Errorf("it was not renewed for %s: this process or its machine stood still", t.l.holds())
}

// guard ends the term in time. It looks more often than the time that is left would need:
// while a machine is suspended, timers stand still.
func (t *Term) guard() {
	tick := t.l.cfg.For / 20
	for t.held() {
		if !sleep(min(max(t.left(), time.Millisecond), tick), t.done, t.l.r.closing) {
			return
		}
	}
}

// keep renews the lease, and closes its client when it was released.
func (t *Term) keep() {
	defer func() { _ = t.client.Close() }()
	// At once, for the first time: the server may have to be told the script, and on a slow link
	// that would be found out too late.
	within := t.l.cfg.For / 3
	for wait := time.Duration(0); wait == 0 || sleep(jitter(wait), t.done, t.l.r.closing); {
		wait = t.l.cfg.For / 3
		err := t.renew(context.Background(), within)
		if within = t.l.cfg.For / 6; err != nil {
			wait = t.l.cfg.For / 20
		}
	}
	t.end()
	close(t.idle)
	select {
	case <-t.released:
	case <-t.l.r.closing:
	}
}

// renew makes the term last, and the record of it again if Redis has lost it. That is safe
// while the term lasts: whoever waits must see no record for as long as For.
func (t *Term) renew(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	sent := time.Now()
	if !t.held() {
		return t.lost()
	}
	r, cfg := t.l.r, t.l.cfg
	batch, published := t.p.known()
	ours, err := r.scripts.renew.run(ctx, t.client, t.l.key(), r.consumer, t.grant.Epoch, t.beat.Add(1),
		r.cfg.Service, t.token, cfg.For.Milliseconds(), batch, time.Since(t.begun).Milliseconds(), published).Int()
	switch {
	case err != nil:
		if !isReply(err) {
			r.link.down(err)
		}
		t.failed.Store(&err)
		return err
	case ours == 0:
		t.lose(errOther)
		return t.lost()
	}
	r.link.up()
	t.failed.Store(nil)
	for {
		last := t.last.Load()
		if !sent.After(*last) || t.last.CompareAndSwap(last, &sent) {
			return nil
		}
	}
}

func (t *Term) lost() error { return fmt.Errorf("source %q: %w", t.l.cfg.Source, ErrNotHeld) }

// Release ends the term. Orderly says that the session was closed: whoever waits can have
// the lease at once, and knows that nobody is connected. Else they wait as if this process
// had died. If Redis is away, this process says so when it waits for the lease again.
func (t *Term) Release(ctx context.Context, orderly bool) {
	late := !t.held()
	t.end()
	t.giving.Do(func() {
		defer close(t.released)
		if t.client == nil {
			return
		}
		select { // a renewal is under way, perhaps to a Redis that hangs
		case <-t.idle:
		case <-ctx.Done():
		}
		if !orderly {
			return
		}
		r, source := t.l.r, t.l.cfg.Source
		ctx, cancel := context.WithTimeout(ctx, commandTimeout)
		defer cancel()
		if err := r.release(ctx, t.client, t.l.key(), t.grant.Epoch, late); err != nil {
			r.unreleased.Store(source, t.grant.Epoch)
			r.log.Warn("lease could not be released; others take it over after a while", "source", source, "epoch", t.grant.Epoch, "after", t.l.cfg.For, "err", err)
		}
	})
}

func (r *Redis) release(ctx context.Context, by redis.Scripter, key string, epoch int64, late bool) error {
	flag := 0
	if late {
		flag = 1
	}
	return r.scripts.release.run(ctx, by, key, r.consumer, epoch, flag).Err()
}

// releaseLate says that this process has closed the session of its last term, if that could
// not be said at its end.
func (r *Redis) releaseLate(ctx context.Context, w *watch) error {
	epoch, owed := r.unreleased.Load(w.l.cfg.Source)
	if !owed {
		return nil
	}
	if err := r.release(ctx, w.conn, w.l.key(), epoch.(int64), true); err != nil { //nolint:forcetypeassert // stored by Release
		w.look()
		return err
	}
	r.unreleased.Delete(w.l.cfg.Source)
	return nil
}
