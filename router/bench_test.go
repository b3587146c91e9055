package router

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

const tick = `{"specversion":"1.0","id":"0190a1b2-0000-7000-8000-000000000001","type":"tick","source":"/feeds/binance","time":"2026-11-21T23:30:00.123456Z",` +
	`"datacontenttype":"application/json","data":{"symbol":"BTCUSDT","bid":"97393.22512375","ask":"97393.23512375","bid_size":"2.04110000","ask_size":"0.73500000","seq":400900217}}`

func BenchmarkDecode(b *testing.B) {
	traced := `{"traceparent":"` + aParent + `","tracestate":"` + aState + `",` + tick[1:]
	for name, bc := range map[string]struct {
		channel Channel
		message string
	}{
		"CloudEvents":       {Channel{Name: "in"}, tick},
		"CloudEvents+key":   {Channel{Name: "in", Fields: Fields{Key: "data.symbol"}}, tick},
		"CloudEvents+trace": {Channel{Name: "in"}, traced},
		"type only, id set": {Channel{Name: "in", Fields: Fields{Time: "none"}}, tick},
	} {
		b.Run(name, func(b *testing.B) {
			d := newDecoder(bc.channel)
			payload := []byte(bc.message)
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			var e Event
			for b.Loop() {
				in := Message{Payload: payload}
				err := d.event(&e, in)
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		sets := make([][]string, n)
		for i := range sets {
			sets[i] = []string{fmt.Sprintf("type.%d", i)}
		}
		table := newTable(compile(b, sets), nil, &channelCounters{})
		for name, typ := range map[string]string{"hit": fmt.Sprintf("type.%d", n/2), "miss": "other.type"} {
			b.Run(fmt.Sprintf("routes=%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if found := table.routes(typ); len(found) > 1 {
						b.Fatal(len(found))
					}
				}
			})
		}
	}
}

// benchOwner wakes the benchmark when all items are done.
type benchOwner struct {
	left atomic.Int64
	all  chan struct{}
}

func (o *benchOwner) Done(*batch.Item) {
	if o.left.Add(-1) == 0 {
		close(o.all)
	}
}

// BenchmarkDispatch carries batches of 256 through the real Watermill router to a
// handler that does nothing. One op is one event.
func BenchmarkDispatch(b *testing.B) {
	noBatch := batcher{batch: func(context.Context, []*Event) []error { return nil }}
	for _, bc := range []struct {
		name    string
		handler Handler
		routes  int
		types   int // of as many routes each
		size    int
		seen    string // how: measured, or watched as well; or when it is stale
	}{
		{"Handler/routes=1", accepting, 1, 1, 256, ""},
		{"Handler/routes=1/measured", accepting, 1, 1, 256, "measured"},
		{"Handler/routes=1/watched", accepting, 1, 1, 256, "watched"},
		{"Handler/routes=1/any", accepting, 1, 1, 256, "any"},
		{"Handler/routes=1/per_key", accepting, 1, 1, 256, "per_key"},
		{"BatchHandler/routes=1", noBatch, 1, 1, 256, ""},
		{"Handler/routes=10", accepting, 10, 1, 256, ""},
		{"Handler/types=10000", accepting, 1, 10_000, 256, ""},
		{"Handler/batch=1", accepting, 1, 1, 1, ""},
	} {
		b.Run(bc.name, func(b *testing.B) {
			cfg := Config{Channels: []Channel{{Name: "in", Fields: Fields{Key: "data.symbol"}}}, Handlers: handlers(map[string]Handler{"h": bc.handler})}
			payloads := make([][]byte, bc.types)
			for i := range payloads {
				typ := "tick" + strings.Repeat("s", i%2) + fmt.Sprint(i/2)
				payloads[i] = []byte(strings.Replace(tick, `"tick"`, strconv.Quote(typ), 1))
				for n := range bc.routes {
					cfg.Routes = append(cfg.Routes, Route{Name: fmt.Sprint(typ, " ", n), Channel: "in", Types: []string{typ}, Handler: "h"})
				}
			}
			c := newCarrier()
			onlooker := &Onlooker{See: func(Outcome) {}}
			onlooker.All.Store(bc.seen == "watched")
			opts := Options{Logger: slog.New(slog.DiscardHandler), Subscriber: func(Channel) (message.Subscriber, error) { return c, nil }}
			switch bc.seen {
			case "any":
				cfg.Channels[0].StaleAfter = StaleAfter{Any: time.Hour}
			case "per_key":
				cfg.Channels[0].StaleAfter = StaleAfter{Any: time.Hour, PerKey: time.Hour}
			case "measured", "watched":
				opts.Measure, opts.Onlooker = true, onlooker
			}
			r, err := New(cfg, opts)
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			<-r.Running()

			owner := &benchOwner{all: make(chan struct{})}
			owner.left.Store(int64(b.N))
			now := time.Now()
			b.ReportAllocs()
			b.ResetTimer()
			for sent := 0; sent < b.N; {
				n := min(bc.size, b.N-sent)
				items, cells := make([]*batch.Item, n), make([]batch.Item, n)
				for i := range items {
					cells[i] = batch.Item{Topic: "in", Time: now, Payload: payloads[(sent+i)%len(payloads)], Owner: owner}
					items[i] = &cells[i]
				}
				msg := message.NewMessage("", nil)
				msg.SetContext(batch.NewContext(ctx, &batch.Batch{Items: items}))
				c.messages <- msg
				<-msg.Acked()
				sent += n
			}
			<-owner.all
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			stop()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		})
	}
}
