package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"
)

const (
	tickSize = 280    // bytes
	queueful = 60_000 // ticks: what the queue of a Pub/Sub channel holds, and a little less
	queueMB  = 30     // megabytes: likewise
	firstSeq = 400_000_000
)

// symbols are what the ticks are about. Contenders add up their weights, to show that
// they have looked at each.
var symbols = []string{"BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT", "XRPUSDT", "DOGEUSDT", "DOTUSDT", "LINKUSDT"} //nolint:gochecknoglobals // a constant

func weight(symbol string) uint64 {
	if symbol == "" {
		return 0
	}
	return uint64(len(symbol)) + uint64(symbol[0])
}

// load is the messages of a drain. They are made once: that takes time, in which a
// contender would be held up.
type load struct {
	n        int
	size     int                // bytes of a message; 0: tickSize
	typ      func(i int) string // nil: all are ticks
	channels int                // that share them, each named after its number; 0: one, without a number
	made     [][]byte
}

// sum is what the weights of the load add up to.
func (l *load) sum() (sum uint64) {
	for i := range l.n {
		sum += weight(symbols[i%len(symbols)])
	}
	return sum
}

// message is the ith one.
func (l *load) message(i int) []byte {
	if len(l.made) == 0 {
		l.made = make([][]byte, l.n)
		for i := range l.made {
			l.made[i] = l.make(i)
		}
	}
	return l.made[i]
}

// make makes a message: a CloudEvent, as long as it has to be. One larger than a tick is
// an order book: it has levels, since a single long string is easier to read past than
// what feeds send.
func (l *load) make(i int) []byte {
	typ := "tick"
	if l.typ != nil {
		typ = l.typ(i)
	}
	text := fmt.Sprintf(`{"id":"0190a1b2-0000-7000-8000-%012d","type":%q,"source":"/feeds/broker","time":"2026-11-21T23:30:00.123456Z",`+
		`"data":{"symbol":%q,"bid":"97393.22512375","ask":"97393.23512375","seq":%d`, i, typ, symbols[i%len(symbols)], firstSeq+i)
	size := l.size
	if size == 0 {
		size = tickSize
	}
	var b strings.Builder
	b.WriteString(text)
	const level = `["97393.22","0.7350"],`
	if room := size - len(text) - len(`,"levels":[],"pad":""}}`); room > 2*len(level) {
		b.WriteString(`,"levels":[`)
		b.WriteString(strings.Repeat(level, room/len(level)))
		levels := strings.TrimSuffix(b.String(), ",")
		b.Reset()
		b.WriteString(levels + "]")
	}
	b.WriteString(`,"pad":"`)
	if left := size - b.Len() - len(`"}}`); left > 0 {
		b.WriteString(strings.Repeat("x", left))
	}
	b.WriteString(`"}}`)
	return []byte(b.String())
}

// publish sends the load to a Pub/Sub channel, or in turns to several.
func (l *load) publish(ctx context.Context, to *redis.Client, channel string) error {
	return l.send(ctx, to, func(pipe redis.Pipeliner, i int) {
		name := channel
		if l.channels > 0 {
			name = fmt.Sprint(channel, ".", i%l.channels)
		}
		pipe.Publish(ctx, name, l.message(i))
	})
}

// add adds the load to a stream, as watermill-redisstream does: it reads no other entries.
func (l *load) add(ctx context.Context, to *redis.Client, stream string) error {
	var failed error
	err := l.send(ctx, to, func(pipe redis.Pipeliner, i int) {
		values, err := redisstream.DefaultMarshallerUnmarshaller{}.Marshal(stream, message.NewMessage(fmt.Sprint(i), l.message(i)))
		if err != nil {
			failed = err
		}
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: values})
	})
	if failed != nil {
		return failed
	}
	return err
}

func (l *load) send(ctx context.Context, to *redis.Client, add func(redis.Pipeliner, int)) error {
	const slice = 1000
	for from := 0; from < l.n; from += slice {
		pipe := to.Pipeline()
		for i := from; i < min(l.n, from+slice); i++ {
			add(pipe, i)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tick is the message as a hand-written loop knows it.
type tick struct {
	ID     string          `json:"id"`
	Type   string          `json:"type"`
	Source string          `json:"source"`
	Time   json.RawMessage `json:"time"`
	Data   quote           `json:"data"`
}

// quote is its data.
type quote struct {
	Symbol string `json:"symbol"`
	Bid    string `json:"bid"`
	Ask    string `json:"ask"`
	Seq    int64  `json:"seq"`
}
