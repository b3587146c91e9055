package router

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// fakes are carriers, one for each subscription, in the order in which they were opened.
type fakes struct {
	carriers []*carrier
	channels []Channel
}

func (f *fakes) open(ch Channel) (message.Subscriber, error) {
	f.carriers, f.channels = append(f.carriers, newCarrier()), append(f.channels, ch)
	return f.carriers[len(f.carriers)-1], nil
}

// sendAll sends the same payloads to every subscription, as Redis would.
func (f *fakes) sendAll(t *testing.T, payloads ...string) {
	t.Helper()
	for _, c := range f.carriers {
		c.await(t, c.send(t, payloads...))
	}
}

func TestIsolatedRoutesHaveSubscriptionsOfTheirOwn(t *testing.T) {
	cfg := Config{
		Service: "box",
		Channels: []Channel{
			{Name: "orders", Transport: Stream, Topic: "o", InFlight: 7},
			{Name: "prices", Transport: PubSub, Queue: 10, QueueBytes: 20},
		},
		Handlers: handlers(map[string]Handler{"h": accepting}),
		Routes: []Route{
			{Name: "slow", Channel: "orders", Types: []string{"*"}, Handler: "h", Isolated: true},
			{Name: "a", Channel: "orders", Types: []string{"*"}, Handler: "h"},
			{Name: "b", Channel: "orders", Types: []string{"*"}, Handler: "h"},
			{Name: "own", Channel: "prices", Types: []string{"*"}, Handler: "h", Isolated: true, Queue: 1},
			{Name: "as the channel", Channel: "prices", Types: []string{"*"}, Handler: "h", Isolated: true},
		},
	}
	f := &fakes{}
	start(t, cfg, Options{Subscriber: f.open})
	var got []string
	for _, ch := range f.channels {
		got = append(got, strings.Join([]string{ch.Name, ch.Topic, ch.Group, ch.Like}, " "))
	}
	want := []string{"orders o box ", "orders o box.slow box", "prices prices box ", "prices prices box "}
	if !slices.Equal(got, want) {
		t.Errorf("opened %q, want %q", got, want)
	}
	if q := f.channels; q[1].InFlight != 7 || q[2].Queue != 1 || q[2].QueueBytes != 20 || q[3].Queue != 10 {
		t.Errorf("opened %+v", q)
	}
}

// A channel's events are counted, rejected and found unmatched once, however many
// subscriptions read it; each route gets each of its events once.
func TestIsolatedRoutesCountOnce(t *testing.T) {
	for name, routes := range map[string][]Route{
		"beside others": {
			{Name: "slow", Types: []string{"a", "slow"}, Isolated: true},
			{Name: "plain", Types: []string{"a", "plain"}},
			{Name: "other", Types: []string{"a", "other"}, Isolated: true},
		},
		"alone": {
			{Name: "slow", Types: []string{"a", "slow"}, Isolated: true},
			{Name: "plain", Types: []string{"a", "plain"}, Isolated: true},
			{Name: "other", Types: []string{"a", "other"}, Isolated: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range routes {
				routes[i].Channel, routes[i].Handler = "in", "h"
			}
			f := &fakes{}
			cfg := Config{Channels: []Channel{{Name: "in"}}, Handlers: handlers(map[string]Handler{"h": accepting}), Routes: routes}
			r := start(t, cfg, Options{Subscriber: f.open})
			f.sendAll(t, message0("1", "a"), message0("2", "slow"), message0("3", "plain"), message0("4", "other"), message0("5", "unknown"), `{`)
			s := r.Stats()
			if got := s.Channels["in"]; got.Received != 6 || got.Unmatched != 1 || got.Rejected[CauseNotJSON] != 1 {
				t.Errorf("channel %+v, want 6 received, 1 unmatched, 1 rejected", got)
			}
			for _, route := range s.Routes {
				if route.Handled != 2 {
					t.Errorf("route %+v, want 2 handled", route)
				}
			}
			if n := len(r.logs.lines(t, slog.LevelInfo, "no route takes this type")) + len(r.logs.lines(t, slog.LevelInfo, "message rejected")); n != 2 {
				t.Errorf("%d lines about what no route takes and what is no event, want 2", n)
			}
		})
	}
}

// Only the isolated route waits for its handler.
func TestIsolatedRouteWaitsAlone(t *testing.T) {
	h := newSlow()
	f := &fakes{}
	handled := make(chan string, 10)
	fast := HandlerFunc(func(_ context.Context, e *Event) error { handled <- e.ID; return nil })
	start(t, Config{
		Channels: []Channel{{Name: "in"}},
		Handlers: handlers(map[string]Handler{"fast": fast, "slow": h}),
		Routes: []Route{
			{Channel: "in", Types: []string{"*"}, Handler: "fast"},
			{Channel: "in", Types: []string{"*"}, Handler: "slow", Isolated: true},
		},
	}, Options{Subscriber: f.open})
	waiting := f.carriers[1].send(t, message0("1", "a"))
	receive(t, "the slow handler", h.begun)
	f.carriers[0].await(t, f.carriers[0].send(t, message0("1", "a")))
	receive(t, "the fast handler", handled)
	if f.carriers[1].isDone(waiting[0]) {
		t.Error("the slow route's event is done")
	}
	close(h.release)
	f.carriers[1].await(t, waiting)
}

func TestIsolatedRoutesThatCannotBe(t *testing.T) {
	_, err := New(Config{
		Service: "box",
		Channels: []Channel{
			{Name: "orders", Transport: Stream},
			{Name: "again", Transport: Stream, Topic: "orders", Group: "box.slow"},
			{Name: "prices", Transport: PubSub},
		},
		Handlers: handlers(map[string]Handler{"h": accepting}),
		Routes: []Route{
			{Name: "slow", Channel: "orders", Types: []string{"*"}, Handler: "h", Isolated: true},
			{Name: "streamed", Channel: "orders", Types: []string{"*"}, Handler: "h", Isolated: true, Queue: 1},
			{Name: "plain", Channel: "prices", Types: []string{"*"}, Handler: "h", QueueBytes: 1},
			{Name: "negative", Channel: "prices", Types: []string{"*"}, Handler: "h", Isolated: true, Queue: -1},
		},
	}, Options{Subscriber: (&fakes{}).open})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`route "slow": isolated, it reads stream "orders" as group "box.slow", and so does channel "again"`,
		`route "streamed": a queue of its own is for a Pub/Sub channel`,
		`route "plain": a queue of its own is for an isolated route`,
		`route "negative": a queue of -1 events`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s:\n%v", want, err)
		}
	}
}

// A dead letter that is replayed to its group is handled, or kept again. It is not lost
// when the route that takes it by now is isolated, and reads in a group of its own.
func TestReplayForARouteThatIsIsolatedNow(t *testing.T) {
	for name, replay := range map[string]batch.Replay{
		"unmatched before":   {Group: "box", Count: 1},
		"its route moved":    {Group: "box", Route: "slow", Count: 1},
		"other type":         {Group: "box", Route: "plain", Count: 1},
		"of an isolated one": {Group: "box.slow", Route: "slow", Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f, kept := &fakes{}, &shelf{}
			typ := "stop"
			if name == "of an isolated one" {
				typ = "enter" // which it took before
			}
			r := start(t, Config{
				Service:  "box",
				Channels: []Channel{{Name: "in", Transport: Stream, Topic: "topic"}},
				Handlers: handlers(map[string]Handler{"h": HandlerFunc(func(context.Context, *Event) error { return nil })}),
				Routes: []Route{
					{Name: "plain", Channel: "in", Types: []string{"enter"}, Handler: "h"},
					{Name: "slow", Channel: "in", Types: []string{"stop"}, Handler: "h", Isolated: true},
				},
			}, Options{Subscriber: f.open, Publisher: kept.open})
			for _, c := range f.carriers { // each group of the stream gets the entry
				one := replay
				items := []*batch.Item{{Topic: "topic", ID: "1-0", Payload: []byte(message0("1", typ)), Owner: c, Replay: &one}}
				c.sendItems(t, items)
				c.await(t, items)
			}
			handled := uint64(0)
			for _, route := range r.Stats().Routes {
				handled += route.Handled
			}
			if letters := kept.kept(); handled == 0 && len(letters) == 0 {
				t.Errorf("neither handled nor kept again: the letter is lost; %+v", r.Stats().Channels["in"])
			}
		})
	}
}
