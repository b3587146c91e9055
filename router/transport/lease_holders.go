package transport

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/batch"
)

// Holders returns who holds each of the sources, in their order. A holder may have died:
// then Renewed is longer ago than For.
func (r *Redis) Holders(ctx context.Context, sources ...string) ([]batch.Holder, error) {
	if len(sources) == 0 {
		return nil, nil
	}
	pipe := r.writer.Pipeline()
	records := make([]*redis.SliceCmd, len(sources))
	for i, source := range sources {
		records[i] = pipe.HMGet(ctx, leasePrefix+source, "holder", "service", "epoch", "since", "renewed", "for")
	}
	_, _ = pipe.Exec(ctx) // each record tells
	holders := make([]batch.Holder, len(sources))
	for i, source := range sources {
		values, err := records[i].Result()
		if err != nil {
			return nil, fmt.Errorf("lease of source %q: %w", source, err)
		}
		holders[i] = holderOf(source, values)
	}
	return holders, nil
}

// holderOf reads the fields of a record; those that are missing are nil.
func holderOf(source string, values []any) batch.Holder {
	text := func(i int) string {
		s, _ := values[i].(string)
		return s
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(text(i), 10, 64)
		return n
	}
	moment := func(i int) time.Time {
		if ms := number(i); ms > 0 {
			return time.UnixMilli(ms).UTC()
		}
		return time.Time{}
	}
	return batch.Holder{
		Source: source, Name: text(0), Service: text(1), Epoch: number(2),
		Since: moment(3), Renewed: moment(4), For: time.Duration(number(5)) * time.Millisecond,
	}
}
