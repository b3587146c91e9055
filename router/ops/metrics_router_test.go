package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router"
	"signalbox/router/transport"
)

// TestStrangersAddNoSeries sends a router a hundred thousand types that nobody knows, and
// compares what is told before and after.
func TestStrangersAddNoSeries(t *testing.T) {
	t.Parallel()
	const each, times = 1000, 100
	memory := transport.NewMemory(nil)
	t.Cleanup(func() { _ = memory.Close() })
	failing := router.HandlerFunc(func(_ context.Context, e *router.Event) error {
		if e.Type == "tick" {
			return errors.New("no")
		}
		return nil
	})
	cfg := router.Config{
		Channels: []router.Channel{{Name: "in", Transport: router.PubSub, Types: []string{"tick", "enter"}, Fields: router.Fields{Split: "."}}},
		Handlers: []router.HandlerSpec{{Name: "h", New: func(router.Env) (router.Handler, error) { return failing, nil }}},
		Routes:   []router.Route{{Channel: "in", Types: []string{"tick", "made.up.*"}, Handler: "h"}},
	}
	r, err := router.New(cfg, router.Options{
		Subscriber: func(router.Channel) (message.Subscriber, error) { return memory, nil }, Measure: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-r.Running()

	p := filled()
	p.Stats, p.Running = r.Stats, func() Running { return Running{Config: cfg} }
	names := func() (series []string) {
		for line := range strings.Lines(text(t, newCollector(p))) {
			if name, _, is := strings.Cut(line, " "); is && name != "#" {
				series = append(series, name)
			}
		}
		return series
	}
	before := names()
	for i := range times {
		all := make([]string, each)
		for j := range all {
			all[j] = fmt.Sprintf(`{"type":"made.up.%d.%d"}`, i, j)
		}
		all = append(all, `{"type":"tick"}`, `{"type":"strange"}`)
		if err := memory.Publish("in", message.NewMessage("", []byte("["+strings.Join(all, ",")+"]"))); err != nil {
			t.Fatal(err)
		}
	}
	for began := time.Now(); r.Stats().Channels["in"].Received < (each+2)*times || r.Stats().Routes[0].Handled < each*times; {
		if time.Since(began) > time.Minute {
			t.Fatalf("not all was handled: %+v", r.Stats())
		}
		time.Sleep(time.Millisecond)
	}
	after := names()
	if got, want := strings.Join(after, "\n"), strings.Join(before, "\n"); got != want {
		t.Errorf("there were %d series, there are %d", len(before), len(after))
	}
	families := scrape(t, handler(t, p), plain)
	for _, tt := range []struct {
		metric string
		want   float64
		labels []string
	}{
		{"signalbox_events_received_total", times * (each + 1), []string{"channel", "in", "type", "other"}},
		{"signalbox_events_received_total", times, []string{"channel", "in", "type", "tick"}},
		{"signalbox_events_received_total", 0, []string{"channel", "in", "type", "enter"}},
		{"signalbox_events_unmatched_total", times, []string{"channel", "in"}},
		{"signalbox_events_handled_total", times, []string{"channel", "in", "handler", "h", "result", "failed", "route", "h"}},
	} {
		if got := value(t, families[tt.metric], tt.labels...); got != tt.want {
			t.Errorf("%s%q is %v, want %v", tt.metric, tt.labels, got, tt.want)
		}
	}
	if got := families["signalbox_handler_duration_seconds"].GetMetric()[0].GetHistogram().GetSampleCount(); got != times*(each+1) {
		t.Errorf("%d calls were timed, want %d", got, times*(each+1))
	}
}
