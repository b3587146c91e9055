package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"signalbox/router/internal/batch"
)

// replaying runs a channel that begins with kept events; got lists what its handler gets.
func replaying(t *testing.T, begin Start, opts Options) (r *running, got func() []string) {
	t.Helper()
	var mu sync.Mutex
	var events []string
	cfg := one(HandlerFunc(func(_ context.Context, e *Event) error {
		mu.Lock()
		defer mu.Unlock()
		mark := ""
		if e.Replayed {
			mark = "*"
		}
		events = append(events, e.ID+mark)
		return nil
	}))
	cfg.Channels[0].Transport, cfg.Channels[0].Start, cfg.Channels[0].Fields.Key = PubSub, begin, "key"
	return start(t, cfg, opts), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(events)
	}
}

// of is a message of a key, that many seconds after an epoch.
func of(key, id string, at int, kept bool, to *running) *batch.Item {
	payload := fmt.Sprintf(`{"type":"tick","id":%q,"key":%q,"time":%d}`, id, key, 1_700_000_000+at)
	return &batch.Item{Topic: "topic", Payload: []byte(payload), Time: time.Unix(int64(1_700_000_000+at), 0), Kept: kept, Owner: to.carrier}
}

func TestNoKeyGoesBackInTime(t *testing.T) {
	var mu sync.Mutex
	var skipped []string
	r, got := replaying(t, StartLatest, Options{Observe: func(o Outcome) {
		if o.Result == Skipped {
			mu.Lock()
			defer mu.Unlock()
			if !errors.Is(o.Err, errOvertaken) {
				t.Errorf("skipped because of %v", o.Err)
			}
			skipped = append(skipped, o.Event.ID)
		}
	}})
	live := func(key, id string, at int) *batch.Item { return of(key, id, at, false, r) }
	kept := func(key, id string, at int) *batch.Item { return of(key, id, at, true, r) }
	items := []*batch.Item{
		kept("a", "a5", 5), kept("b", "b5", 5),
		live("a", "a4", 4),                     // was on its way when a5 was kept
		live("a", "a5", 5),                     // the same event
		live("a", "a5'", 5),                    // another one of the same time
		live("a", "a4'", 4),                    // live events are in the producer's order, which is his business
		live("a", "a9", 9),                     //
		kept("a", "a8", 8), kept("a", "a9", 9), // after a gap: nothing that was overtaken, or had already
		kept("a", "a10", 10), kept("c", "c1", 1), live("c", "c2", 2), kept("c", "c1", 1),
		live("b", "b6", 6),
	}
	r.sendItems(t, items)
	r.await(t, items)
	want := []string{"a5*", "b5*", "a5'", "a4'", "a9", "a10*", "c1*", "c2", "b6"}
	if !slices.Equal(got(), want) {
		t.Errorf("handled %q\nwant    %q", got(), want)
	}
	if want := []string{"a4", "a5"}; !slices.Equal(skipped, want) {
		t.Errorf("skipped %q, want %q", skipped, want)
	}
	stats := r.Stats()
	if c, route := stats.Channels["in"], stats.Routes[0]; c.Received != 11 || route.Handled != 9 || route.Skipped != 2 {
		t.Errorf("%d received, %d handled, %d skipped; want 11 = 9 + 2", c.Received, route.Handled, route.Skipped)
	}
}

// One wrong clock blocks no key: what says that it comes from the future counts as old as
// its arrival, kept or live.
func TestTheFutureBlocksNoKey(t *testing.T) {
	const future, came = 9_000_000_000, 1_700_000_000
	r, got := replaying(t, StartLatest, Options{})
	item := func(id string, says, arrived int, kept bool) *batch.Item {
		one := of("a", id, says-1_700_000_000, kept, r)
		one.Time = time.Unix(int64(arrived), 0)
		return one
	}
	items := []*batch.Item{
		item("kept", future, came, true),
		item("late", came-1, came+1, false),
		item("live", came+2, came+2, false),
		item("wrong again", future, came+3, false),
		item("wrong again", future, came+4, true), // kept a moment after it came
		item("after a gap", came+4, came+5, true),
	}
	r.sendItems(t, items)
	r.await(t, items)
	if want := []string{"kept*", "live", "wrong again", "after a gap*"}; !slices.Equal(got(), want) {
		t.Errorf("handled %q\nwant    %q", got(), want)
	}
}

// An event that no route takes is unmatched, also when it comes too late.
func TestWhatIsOvertakenAndUnmatchedIsCounted(t *testing.T) {
	cfg := one(accepting)
	cfg.Channels[0].Transport, cfg.Channels[0].Start, cfg.Channels[0].Fields.Key = PubSub, StartLatest, "key"
	cfg.Routes[0].Types = []string{"quote"}
	r := start(t, cfg, Options{})
	items := []*batch.Item{of("a", "a5", 5, true, r), of("a", "a4", 4, false, r)} // ticks
	r.sendItems(t, items)
	r.await(t, items)
	if c := r.Stats().Channels["in"]; c.Received != 2 || c.Unmatched != 2 {
		t.Errorf("%d received, %d unmatched, want 2 of each", c.Received, c.Unmatched)
	}
}

func TestReplaysAreNoGap(t *testing.T) {
	cfg, own := listening(PubSub, accepting)
	cfg.Channels[0].Start, cfg.Channels[0].Fields.Seq = StartLatest, "seq"
	r := start(t, cfg, Options{})
	items := []*batch.Item{
		{Topic: "topic", Payload: []byte(`{"type":"a","time":1700000001,"seq":90}`), Owner: r.carrier},
		{Topic: "topic", Payload: []byte(`{"type":"a","time":1700000005,"seq":95}`), Kept: true, Owner: r.carrier},
		{Topic: "topic", Payload: []byte(`{"type":"a","time":1700000002,"seq":91}`), Owner: r.carrier},
		{Topic: "topic", Payload: []byte(`{"type":"a","time":1700000006,"seq":92}`), Owner: r.carrier},
	}
	r.sendItems(t, items)
	r.await(t, items)
	if missing := r.Stats().Channels["in"].Missing; missing != 0 || len(own.events) != 0 {
		t.Errorf("%d missing, %d own events; a kept event is no gap", missing, len(own.events))
	}
}

// Elsewhere nothing is followed, and a kept event is one as any other.
func TestOnlyAChannelThatBeginsWithKeptEventsFollowsThem(t *testing.T) {
	r, got := replaying(t, "", Options{})
	items := []*batch.Item{of("a", "a5", 5, true, r), of("a", "a4", 4, false, r), of("a", "a3", 3, true, r)}
	r.sendItems(t, items)
	r.await(t, items)
	if want := []string{"a5*", "a4", "a3*"}; !slices.Equal(got(), want) {
		t.Errorf("handled %q, want %q", got(), want)
	}
	if n := len(r.feeds[0].newest.of); n != 0 {
		t.Errorf("%d keys are followed", n)
	}
}

func TestKeysThatAreFollowedHaveALimit(t *testing.T) {
	var n newest
	for i := range maxSequences + 10 {
		e := Event{Key: fmt.Sprint(i), Time: time.Unix(5, 0), Replayed: true}
		if n.overtaken(&e, e.Time) {
			t.Fatal("a new key was overtaken")
		}
	}
	if len(n.of) != maxSequences {
		t.Errorf("%d keys are followed, want %d", len(n.of), maxSequences)
	}
	old := Event{Key: fmt.Sprint(maxSequences + 5), Time: time.Unix(1, 0)}
	if n.overtaken(&old, old.Time) {
		t.Error("an event of a key that is not followed was overtaken")
	}
}

// An element of an array is kept by itself, and is no array when it is replayed.
func TestAKeptElement(t *testing.T) {
	var ids []string
	cfg := one(HandlerFunc(func(_ context.Context, e *Event) error { ids = append(ids, e.ID); return nil }))
	cfg.Channels[0].Transport, cfg.Channels[0].Start, cfg.Channels[0].Fields.Split = PubSub, StartLatest, "data"
	r := start(t, cfg, Options{})
	items := []*batch.Item{
		{Topic: "topic", ID: "from before", Payload: []byte(`{"type":"tick","data":[1,2]}`), Kept: true, Owner: r.carrier},
		{Topic: "topic", Payload: []byte(`{"id":"live","data":[{"type":"tick"},{"type":"tick"}]}`), Owner: r.carrier},
	}
	r.sendItems(t, items)
	r.await(t, items)
	if want := []string{"from before", "live-1", "live-2"}; !slices.Equal(ids, want) {
		t.Errorf("handled %q, want %q", ids, want)
	}
}

// memoryLatest is the least that keeps.
type memoryLatest map[string][]Kept

func (m memoryLatest) Keep(_ context.Context, events []Kept, _ time.Duration) error {
	for _, e := range events {
		m[e.Topic] = append(m[e.Topic], e)
	}
	return nil
}

func (m memoryLatest) Kept(_ context.Context, topic string, keys ...string) ([]Kept, error) {
	var kept []Kept
	for _, e := range m[topic] {
		if len(keys) == 0 || slices.Contains(keys, e.Key) {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

func TestPublisherLatest(t *testing.T) {
	t.Parallel()
	cfg := Config{Channels: []Channel{
		{Name: "prices", Topic: "md:prices", Fields: Fields{Key: "data.symbol"}},
		{Name: "all", Topic: "md:*", Pattern: true},
	}}
	store := memoryLatest{}
	p := NewPublisher(cfg, nil).LatestIn(store)
	at := time.Unix(1_700_000_000, 0).UTC()
	message := []byte(`{"type":"tick","data":{"symbol":"BTC","price":1}}`)
	event := Event{ID: "7", Name: "md:prices", Key: "BTC", Time: at, Msg: message}
	if err := store.Keep(t.Context(), []Kept{KeptOf(&event), {Topic: "md:prices", Key: "bad", Payload: []byte("{}")}}, 0); err != nil {
		t.Fatal(err)
	}
	got, err := p.Latest(t.Context(), "prices", "BTC", "ETH")
	if err != nil || len(got) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	if e := got[0]; e.ID != "7" || e.Type != "tick" || e.Key != "BTC" || !e.Time.Equal(at) || !e.Replayed || e.Channel != "prices" || string(e.Data) != `{"symbol":"BTC","price":1}` {
		t.Errorf("%+v", e)
	}
	// One message that is none hides no other.
	got, err = p.Latest(t.Context(), "prices")
	if len(got) != 1 || err == nil || err.Error() != `latest of "prices": key "bad": the message has no field "type" that says its type at byte 0: "{}"` {
		t.Errorf("%v, %v", got, err)
	}
	for channel, want := range map[string]string{
		"pricess": `latest: channel "pricess" is not declared; did you mean "prices"?`,
		"all":     `latest of "all": it is the pattern "md:*", and events are kept by one name`,
	} {
		if _, err := p.Latest(t.Context(), channel); err == nil || err.Error() != want || !IsPermanent(err) {
			t.Errorf("%s: %v, want %s", channel, err, want)
		}
	}
	if _, err := NewPublisher(cfg, nil).Latest(t.Context(), "prices"); !errors.Is(err, errNoLatest) {
		t.Errorf("without a place: %v", err)
	}
}
