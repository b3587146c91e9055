package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// record is a stream entry as Redis keeps it. go-redis' own type has a map of the
// fields, which hides that one stands twice; so the replies are read here.
type record struct {
	id     string
	fields []string // name, value, name, value …; nil: the entry was trimmed while it was pending
}

// Entry is a stream entry as a subscription would deliver it.
type Entry struct {
	Stream, ID string
	Time       time.Time // of the id
	Payload    []byte
	Twice      string // the field that should be the message and stands twice; empty: none
}

// ReadEntries returns what streams have after the given ids, streams first and then as
// many ids. When that is nothing, it waits for block. It is for looking at streams: no
// group notices it.
func ReadEntries(ctx context.Context, client *redis.Client, block time.Duration, streams ...string) ([]Entry, error) {
	args := []any{"XREAD", "COUNT", readMost, "BLOCK", block.Milliseconds(), "STREAMS"}
	for _, s := range streams {
		args = append(args, s)
	}
	reply, err := client.Do(ctx, args...).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []Entry
	err = eachStream(reply, func(stream string, records []record) {
		for _, rec := range records {
			entries = append(entries, newEntry(stream, rec))
		}
	})
	return entries, err
}

// RangeEntries returns at most so many entries that a stream has from one id to another.
func RangeEntries(ctx context.Context, client *redis.Client, stream, from, to string, most int) ([]Entry, error) {
	reply, err := client.Do(ctx, "XRANGE", stream, from, to, "COUNT", most).Result()
	if err != nil {
		return nil, err
	}
	records, err := recordsOf(reply)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(records))
	for i, rec := range records {
		entries[i] = newEntry(stream, rec)
	}
	return entries, nil
}

// LastEntry returns the newest entry of a stream; false when it holds none.
func LastEntry(ctx context.Context, client *redis.Client, stream string) (entry Entry, found bool, err error) {
	reply, err := client.Do(ctx, "XREVRANGE", stream, "+", "-", "COUNT", 1).Result()
	if err != nil {
		return Entry{}, false, err
	}
	records, err := recordsOf(reply)
	if err != nil || len(records) == 0 {
		return Entry{}, false, err
	}
	return newEntry(stream, records[0]), true, nil
}

func newEntry(stream string, rec record) Entry {
	e := Entry{Stream: stream, ID: rec.id, Time: entryTime(rec.id)}
	e.Payload, e.Twice = entryPayload(rec.fields)
	return e
}

// eachStream goes through the reply of XREAD and XREADGROUP: a map in RESP3, a list of
// pairs in RESP2.
func eachStream(reply any, each func(stream string, records []record)) error {
	if m, ok := reply.(map[any]any); ok {
		for name, list := range m {
			records, err := recordsOf(list)
			if err != nil {
				return err
			}
			each(text(name), records)
		}
		return nil
	}
	list, ok := reply.([]any)
	if !ok {
		return strangeReply(reply)
	}
	for _, item := range list {
		pair, ok := item.([]any)
		if !ok || len(pair) != 2 {
			return strangeReply(item)
		}
		records, err := recordsOf(pair[1])
		if err != nil {
			return err
		}
		each(text(pair[0]), records)
	}
	return nil
}

// recordsOf reads a list of entries, as XCLAIM and XAUTOCLAIM give it too.
func recordsOf(reply any) ([]record, error) {
	list, ok := reply.([]any)
	if !ok {
		return nil, strangeReply(reply)
	}
	records := make([]record, 0, len(list))
	for _, item := range list {
		if item == nil { // Redis before 7.0: claimed, but trimmed
			continue
		}
		pair, ok := item.([]any)
		if !ok || len(pair) < 2 {
			return nil, strangeReply(item)
		}
		rec := record{id: text(pair[0])}
		if values, ok := pair[1].([]any); ok {
			rec.fields = make([]string, len(values))
			for i, v := range values {
				rec.fields[i] = text(v)
			}
		} else if pair[1] != nil {
			return nil, strangeReply(pair[1])
		}
		records = append(records, rec)
	}
	return records, nil
}

// strangeReply is what a server says that is no Redis, or a newer one than is known.
func strangeReply(reply any) error {
	return fmt.Errorf("redis: a reply of the kind %T where stream entries are expected", reply)
}

// text is a string that go-redis read, or nothing.
func text(value any) string {
	s, _ := value.(string)
	return s
}
