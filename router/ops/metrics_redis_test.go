package ops

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestRedisIsSlow has Redis not answer: the rest is told.
func TestRedisIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := filled()
		p.Streams = func(ctx context.Context) ([]Stream, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		p.Ready = func(ctx context.Context) []Reason {
			if ctx.Err() != nil {
				return []Reason{{What: "slow"}}
			}
			return nil
		}
		begun := time.Now()
		families := scrape(t, handler(t, p), plain)
		if took := time.Since(begun); took != askFor {
			t.Errorf("the scrape took %v, want %v", took, askFor)
		}
		if got := value(t, families["signalbox_redis_scrape_success"]); got != 0 {
			t.Errorf("redis_scrape_success is %v", got)
		}
		if families["signalbox_stream_lag_entries"] != nil {
			t.Error("a lag is told that nobody knows")
		}
		if got := value(t, families["signalbox_events_unmatched_total"], "channel", "price_data"); got != 2 {
			t.Errorf("the rest is not told: %v unmatched", got)
		}
		if got := value(t, families["signalbox_ready"]); got != 1 {
			t.Errorf("slow streams make ready %v", got)
		}
	})
}

func TestRedisIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		p := filled()
		p.Streams = func(context.Context) ([]Stream, error) {
			time.Sleep(time.Second)
			return []Stream{{Channel: "c", Group: "g", Lag: asked.Add(1)}}, nil
		}
		h := handler(t, p)
		var scrapes sync.WaitGroup
		lag := func(want float64) {
			families := scrape(t, h, plain)
			if got := value(t, families["signalbox_stream_lag_entries"], "channel", "c", "group", "g"); got != want {
				t.Errorf("the lag is %v, want %v", got, want)
			}
			if got := value(t, families["signalbox_redis_scrape_success"]); got != 1 {
				t.Errorf("redis_scrape_success is %v", got)
			}
		}
		for range 5 {
			scrapes.Go(func() { lag(1) })
		}
		scrapes.Wait()
		lag(1)
		time.Sleep(keepFor)
		lag(2)
		if n := asked.Load(); n != 2 {
			t.Errorf("Redis was asked %d times, want 2", n)
		}
	})
}
