package source

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router"
)

// What a connection that is dead did not bring counts from its last sign of life, however long
// it took to notice that.
func TestGapOfADeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		sessions := 0
		_, stop := begin(t, w, configOf(func(ctx context.Context, to router.Sink) error {
			to.Opened("")
			if sessions++; sessions > 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			to.Emit(tick(1, "A"))
			time.Sleep(time.Minute)
			to.Alive()
			time.Sleep(20 * time.Second)
			return errors.New("no answer to ping")
		}))
		settle(90 * time.Second)
		stop()
		i := slices.Index(w.types(), "signalbox.gap")
		if i < 0 {
			t.Fatalf("no gap: %v", w.types())
		}
		var gap router.Gap
		if err := json.Unmarshal(w.published[i].Data, &gap); err != nil || gap.Seconds < 20.5 || gap.Seconds > 21 {
			t.Errorf("the gap is %+v, %v; want the 20 seconds and the back-off", gap, err)
		}
		for i, ago := range []time.Duration{0, 0, 20 * time.Second, 0} { // who takes over counts from these, too
			if p := w.published[i]; p.at.Sub(p.heard) != ago {
				t.Errorf("%s: the other side was heard of %s before, want %s", p.Type, p.at.Sub(p.heard), ago)
			}
		}
	})
}

// A Redis that has lost its data does not know since when nothing was published. Who held the
// source itself does.
func TestGapAfterTheLossOfData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld() // of terms in which nothing is known
		_, stop := begin(t, w, configOf((&slow{closing: 3 * time.Second}).run))
		settle(time.Second)
		w.lose("feed")
		settle(10 * time.Second)
		stop()
		equal(t, "types", w.types(), []string{"signalbox.connected", "t", "signalbox.connected", "signalbox.gap", "t", "signalbox.disconnected"})
		equal(t, "gap", w.published[3].Data, json.RawMessage(`{"seconds":4,"source":"feed"}`))
	})
}

// What the other side has left out is told before what came after it, and each session is
// counted anew.
func TestMissingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		sessions := 0
		cfg := configOf(func(ctx context.Context, to router.Sink) error {
			to.Opened("")
			to.Emit(tick(1+100*sessions, "A"))
			to.Emit(tick(4+100*sessions, "A"))
			if sessions++; sessions == 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		cfg.Sources[0].Sequence, cfg.Sources[0].Fields.Key = &router.Sequence{Path: "i"}, "S"
		s, stop := begin(t, w, cfg)
		settle(time.Second)
		stop()
		equal(t, "types", w.types(), []string{
			"signalbox.connected", "t", "signalbox.gap", "t", "signalbox.disconnected",
			"signalbox.connected", "signalbox.gap", "t", "signalbox.gap", "t", "signalbox.disconnected",
		})
		equal(t, "gap", w.published[2].Data, json.RawMessage(`{"missing":2,"after":1,"key":"A","source":"feed"}`))
		if stats := s.Stats()[0]; stats.Missing != 4 {
			t.Errorf("%+v", stats)
		}
	})
}

// A number that comes again is neither published nor data: it must not set back the pauses.
func TestRepetitionsAreNoData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var at []time.Time
		cfg := configOf(func(_ context.Context, to router.Sink) error {
			at = append(at, time.Now())
			to.Emit(tick(7, "A"))
			return errors.New("closed")
		})
		cfg.Sources[0].Sequence = &router.Sequence{Path: "i", PerKey: true}
		s, stop := begin(t, w, cfg)
		settle(20 * time.Second)
		stop()
		equal(t, "types", w.types(), []string{"t"})
		if stats := s.Stats()[0]; len(at) > 7 || stats.Duplicates != uint64(len(at)-1) {
			t.Errorf("%d sessions, %+v", len(at), stats)
		}
	})
}
