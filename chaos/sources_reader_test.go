//go:build failpoints

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/brokertest"
	"signalbox/internal/redistest"
)

// told is an event of the source, as a reader gets it.
type told struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	Time  time.Time       `json:"time"`
	Epoch int64           `json:"epoch"`
	Seq   uint64          `json:"seq"`
	Data  json.RawMessage `json:"data"`
	key   string
	blind bool // the reader was cut off before it
}

// reader hears all that is published, over a connection that no fault touches but those of
// the server.
type reader struct {
	mu     sync.Mutex
	heard  []told
	ticked time.Time // of the newest tick

	symbols int64 // of the broker; so far apart are the numbers of a symbol's ticks
}

func newReader(tb testing.TB, server *redistest.Server) *reader {
	tb.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true})
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{symbols: brokerSymbols}
	subscription := client.Subscribe(ctx, feedTopic)
	if _, err := subscription.Receive(ctx); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		blind := false
		for ctx.Err() == nil {
			message, err := subscription.Receive(ctx)
			switch message := message.(type) {
			case *redis.Message:
				r.hear(message.Payload, blind)
				blind = false
			default:
				blind = true // an error, or a new subscription after it
			}
			if err != nil {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}()
	tb.Cleanup(func() {
		cancel()
		_ = subscription.Close()
		_ = client.Close()
		<-ended
	})
	return r
}

func (r *reader) hear(payload string, blind bool) {
	t := told{blind: blind}
	if err := json.Unmarshal([]byte(payload), &t); err != nil {
		t.Type = "unreadable: " + payload
	}
	var data struct {
		S string `json:"S"`
	}
	_ = json.Unmarshal(t.Data, &data) // own events have none
	t.key = data.S
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, t)
	if t.Type == "t" {
		r.ticked = t.Time
	}
}

func (r *reader) newest() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ticked
}

// tickSlack is how much later than the last tick that was heard a gap may begin: ticks come
// every 50 ms, on a machine that does much else.
const tickSlack = 400 * time.Millisecond

// gapSince judges when a gap begins that comes with a session, after the last tick before.
func gapSince(connected, gap told, last time.Time) (complaint string) {
	var data struct {
		Seconds float64 `json:"seconds"`
	}
	if err := json.Unmarshal(gap.Data, &data); err != nil {
		return err.Error()
	}
	since := connected.Time.Add(-time.Duration(data.Seconds * float64(time.Second)))
	if late := since.Sub(last); late > tickSlack {
		return fmt.Sprintf("the gap of %gs begins %s after the last tick", data.Seconds, late)
	}
	return ""
}

// judge says what a bot could not have understood: an epoch that goes back, a seq that does
// or leaves one out, a new epoch or a gap between sessions that nobody told of, or of which
// too little was told.
func (r *reader) judge() (complaints []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var epoch int64
	next := map[string]uint64{}
	ids := map[string]int64{}        // the last tick of each symbol
	connected, blind := false, false // blind: of this epoch something may have been missed
	var ticked time.Time             // the last tick; zero: it may have been missed
	var again *told                  // the session that began after it, until the gap is told
	complain := func(t told, format string, args ...any) {
		complaints = append(complaints, fmt.Sprintf("%s %s of epoch %d, seq %d: ", t.Type, t.ID, t.Epoch, t.Seq)+fmt.Sprintf(format, args...))
	}
	for _, t := range r.heard {
		switch {
		case t.Epoch < epoch:
			complain(t, "after epoch %d", epoch)
			continue
		case t.Epoch > epoch:
			clear(next)
			epoch, connected, blind = t.Epoch, false, false
		}
		if t.blind {
			blind, connected = true, true
			clear(next)
			clear(ids)
			ticked, again = time.Time{}, nil
		}
		if want, known := next[t.key]; known && t.Seq != want {
			complain(t, "expected seq %d", want)
		} else if !known && t.Seq != 1 && !blind {
			complain(t, "the first one of %q in its epoch", t.key)
		}
		next[t.key] = t.Seq + 1
		switch t.Type {
		case "signalbox.connected":
			connected = true
			clear(ids)
			if !ticked.IsZero() {
				again = &t
			}
		case "signalbox.disconnected":
			connected = false
		case "signalbox.gap":
			if again != nil {
				if complaint := gapSince(*again, t, ticked); complaint != "" {
					complain(t, "%s", complaint)
				}
				again = nil
			}
		case "t":
			if again != nil {
				complain(t, "there is a session again, and nobody told of a gap")
			}
			ticked, again = t.Time, nil
			if !connected {
				complain(t, "nobody said that there is a connection")
				connected = true
			}
			var tick brokertest.Tick
			if err := json.Unmarshal(t.Data, &tick); err != nil {
				complain(t, "%v", err)
			}
			if last, known := ids[t.key]; known && tick.ID != last+r.symbols {
				complain(t, "tick %d of %s comes after %d, and nobody told of a gap", tick.ID, t.key, last)
			}
			ids[t.key] = tick.ID
		default:
			complain(t, "is no event of this source")
		}
	}
	return complaints
}
