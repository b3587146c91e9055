package transport

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	consumerPrefix = "signalbox-" // how the consumers of Signalbox processes are told from others
	alivePrefix    = "signalbox:alive:"
	aliveTTL       = 3 * time.Second
	aliveEvery     = time.Second
)

// newConsumer returns a name that no other process has or had: a second process under
// the same name would read what is in flight in the first.
func newConsumer() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "host"
	}
	host = strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return '_'
		}
		return c
	}, host)
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	return consumerPrefix + host + "-" + strconv.Itoa(os.Getpid()) + "-" + hex.EncodeToString(random[:])
}

// alive keeps the mark in Redis that says this process lives. Others take over what a
// consumer without a mark has pending.
type alive struct {
	r   *Redis
	key string

	startMu sync.Mutex
	started bool
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	refused episode // Redis answers the renewal with an error

	last   atomic.Pointer[time.Time] // before the last renewal that succeeded was sent
	losses atomic.Int64              // how often the mark may have been gone before it was renewed
}

func newAlive(r *Redis) *alive {
	return &alive{r: r, key: alivePrefix + r.consumer}
}

// ensure sets the mark for the first time and starts renewing it. Nothing may be read
// from a group before: it would look like a dead consumer's.
func (a *alive) ensure(ctx context.Context) error {
	a.startMu.Lock()
	defer a.startMu.Unlock()
	if a.started {
		return nil
	}
	if err := a.renew(ctx); err != nil {
		return err
	}
	a.started = true
	ctx, a.cancel = context.WithCancel(context.Background())
	a.wg.Go(func() {
		for pause(ctx, jitter(aliveEvery)) {
			a.report(ctx, a.renew(ctx))
		}
	})
	return nil
}

func (a *alive) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, aliveEvery)
	defer cancel()
	now := time.Now()
	// A full Redis refuses SET but not PEXPIRE, and consuming must go on then.
	there, err := a.r.writer.PExpire(ctx, a.key, aliveTTL).Result()
	if err == nil && !there {
		err = a.r.writer.Set(ctx, a.key, "1", aliveTTL).Err()
	}
	if err != nil {
		return err
	}
	if last := a.last.Load(); last != nil && elapsed(*last) > aliveTTL {
		// Perhaps the machine was suspended, and with it the clock that ages are told by:
		// streams go on with the time, or not yet.
		if err := a.r.clock.ask(ctx); err != nil && !isReply(err) {
			return err
		}
		a.losses.Add(1) // before last: who sees the new time must see this, too
	}
	a.last.Store(&now)
	return nil
}

// report logs the beginning and the end of a trouble that pauses the streams.
func (a *alive) report(ctx context.Context, err error) {
	switch {
	case err == nil:
		if after, was := a.refused.end(); was {
			a.r.log.Info("alive mark is back; streams go on", "after", after)
		}
	case ctx.Err() != nil:
	case !isReply(err):
		a.r.link.down(err)
	case a.refused.begin():
		a.r.log.Error("alive mark cannot be set; streams pause until it can", "key", a.key, "err", err)
	}
}

// state returns how often the mark was lost so far, and whether it surely is there now.
func (a *alive) state() (losses int64, marked bool) {
	last := a.last.Load()
	return a.losses.Load(), last != nil && elapsed(*last) < aliveTTL
}

// elapsed is the time since then, by the clock that says more: the monotonic one stands
// still while a machine is suspended, and the other may be set back.
func elapsed(since time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// end removes the mark, so that others need not wait for what is still pending.
func (a *alive) end() {
	a.startMu.Lock()
	defer a.startMu.Unlock()
	if !a.started {
		return
	}
	a.cancel()
	a.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = a.r.writer.Del(ctx, a.key).Err() // else it expires
}

// unmarked returns those of the consumers that have no alive mark.
func (r *Redis) unmarked(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	pipe := r.writer.Pipeline()
	marks := make([]*redis.IntCmd, len(names))
	for i, name := range names {
		marks[i] = pipe.Exists(ctx, alivePrefix+name)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	var gone []string
	for i, mark := range marks {
		if mark.Val() == 0 {
			gone = append(gone, names[i])
		}
	}
	return gone, nil
}
