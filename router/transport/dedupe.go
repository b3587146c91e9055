package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	dedupePrefix = "signalbox:dedupe:"
	dedupeDone   = "done"
	dedupeLease  = "lease:" // before the token of who holds it
)

// Dedupe remembers in Redis which keys are in progress and which are done: under
// signalbox:dedupe:<key> stands a token for as long as its lease lasts, or "done". It
// is a router.Dedupe.
//
// It needs no scripts, and therefore looks before it renews or removes a token. If the
// lease ends, and another token or "done" comes in, exactly between the two, that is
// made to last for our lease, or removed. The first delays the other's successor, the
// second allows a duplicate. A lease is renewed when a third of it is over, so this
// takes a process or a Redis that stands still for two thirds of a lease.
type Dedupe struct{ client *redis.Client }

// Dedupe returns what remembers in this Redis.
func (r *Redis) Dedupe() *Dedupe { return &Dedupe{r.writer} }

// Claim takes the keys that are free, and makes those that the tokens hold already
// last for a whole lease again. Mine says which keys are held by their token now, done
// which are done; all others are held by other tokens. It is one round trip, and
// another for what is held already.
func (d *Dedupe) Claim(ctx context.Context, keys, tokens []string, lease time.Duration) (mine, done []bool, err error) {
	mine, done = make([]bool, len(keys)), make([]bool, len(keys))
	set, get := make([]*redis.BoolCmd, len(keys)), make([]*redis.StringCmd, len(keys))
	d.pipe(ctx, keys, func(pipe redis.Pipeliner, i int, key string) {
		set[i] = pipe.SetNX(ctx, key, dedupeLease+tokens[i], lease)
		get[i] = pipe.Get(ctx, key)
	})
	var held []int
	for i := range keys {
		value, getErr := get[i].Result()
		mine[i], done[i] = value == dedupeLease+tokens[i], value == dedupeDone
		switch {
		case getErr != nil && !errors.Is(getErr, redis.Nil):
			return nil, nil, fmt.Errorf("get %s: %w", keys[i], getErr)
		case getErr != nil && set[i].Err() != nil: // a Redis that is full refuses it
			return nil, nil, fmt.Errorf("set %s: %w", keys[i], set[i].Err())
		case mine[i] && !set[i].Val():
			held = append(held, i)
		}
	}
	if err := d.renew(ctx, keys, held, mine, lease); err != nil {
		return nil, nil, err
	}
	return mine, done, nil
}

// renew makes those keys last that are held.
func (d *Dedupe) renew(ctx context.Context, keys []string, held []int, mine []bool, lease time.Duration) error {
	expire := make([]*redis.BoolCmd, len(held))
	d.pipe(ctx, pick(keys, held), func(pipe redis.Pipeliner, i int, key string) {
		expire[i] = pipe.PExpire(ctx, key, lease)
	})
	for i, of := range held {
		there, err := expire[i].Result()
		if err != nil {
			return fmt.Errorf("renew %s: %w", keys[of], err)
		}
		mine[of] = there
	}
	return nil
}

// Done marks keys as done for the window, whoever holds them. It is one round trip.
func (d *Dedupe) Done(ctx context.Context, keys []string, window time.Duration) error {
	var marks []redis.Cmder
	d.pipe(ctx, keys, func(pipe redis.Pipeliner, _ int, key string) {
		marks = append(marks, pipe.Set(ctx, key, dedupeDone, window))
	})
	return firstError(marks)
}

// Release frees those keys that are still held by their token, in two round trips.
func (d *Dedupe) Release(ctx context.Context, keys, tokens []string) error {
	get := make([]*redis.StringCmd, len(keys))
	d.pipe(ctx, keys, func(pipe redis.Pipeliner, i int, key string) { get[i] = pipe.Get(ctx, key) })
	var held []int
	for i := range keys {
		value, err := get[i].Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("get %s: %w", keys[i], err)
		}
		if value == dedupeLease+tokens[i] {
			held = append(held, i)
		}
	}
	var removed []redis.Cmder
	d.pipe(ctx, pick(keys, held), func(pipe redis.Pipeliner, _ int, key string) {
		removed = append(removed, pipe.Del(ctx, key))
	})
	return firstError(removed)
}

// pipe adds commands for each key and runs them; the commands tell how that went.
func (d *Dedupe) pipe(ctx context.Context, keys []string, add func(pipe redis.Pipeliner, i int, key string)) {
	if len(keys) == 0 {
		return
	}
	pipe := d.client.Pipeline()
	for i, key := range keys {
		add(pipe, i, dedupePrefix+key)
	}
	_, _ = pipe.Exec(ctx)
}

func pick(keys []string, at []int) []string {
	picked := make([]string, len(at))
	for i, of := range at {
		picked[i] = keys[of]
	}
	return picked
}

func firstError(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return fmt.Errorf("%s %v: %w", cmd.Name(), cmd.Args()[1], err)
		}
	}
	return nil
}
