package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// shelf is a publisher that keeps messages, unless fail says otherwise.
type shelf struct {
	mu       sync.Mutex
	fail     func(*message.Message) error
	topics   []string
	messages []*message.Message
	tries    int
}

func (s *shelf) open(Channel) (message.Publisher, error) { return s, nil }

func (s *shelf) Publish(topic string, msgs ...*message.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	errs := make(batch.Errors, len(msgs))
	for i, m := range msgs {
		if s.fail != nil {
			errs[i] = s.fail(m)
		}
		if errs[i] == nil {
			s.topics = append(s.topics, topic)
			s.messages = append(s.messages, m)
		}
	}
	if errors.Join(errs...) != nil {
		return errs
	}
	return nil
}

func (s *shelf) Close() error { return nil }

func (s *shelf) kept() []*message.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages
}

func (s *shelf) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// onStream is one as a stream.
func onStream(h Handler) Config {
	cfg := one(h)
	cfg.Channels[0].Transport = Stream
	cfg.Channels[0].Topic = "topic"
	return cfg
}

// Every way to give up an event leaves a letter with its reason and the message as it was.
func TestDeadLetterReasons(t *testing.T) {
	boom := errors.New("boom")
	for reason, tc := range map[Reason]struct {
		handle func(context.Context) error
		want   string
	}{
		ReasonFailed:    {func(context.Context) error { return boom }, "boom"},
		ReasonPermanent: {func(context.Context) error { return Permanent(boom) }, "boom"},
		ReasonPanic:     {func(context.Context) error { panic("aargh") }, "panic: aargh"},
		ReasonTimeout: {func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, "no result within the timeout of 1s: context canceled"},
	} {
		t.Run(string(reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := onStream(HandlerFunc(func(ctx context.Context, _ *Event) error { return tc.handle(ctx) }))
				cfg.Routes[0].Policy.Timeout = time.Second
				kept := &shelf{}
				r := start(t, cfg, Options{Publisher: kept.open})
				const text = `{"type":"a","id":"1","key":"k","time":"2023-11-14T22:13:20Z"}`
				r.await(t, r.send(t, text))
				letters := kept.kept()
				if len(letters) != 1 || string(letters[0].Payload) != text || letters[0].UUID != "1" || kept.topics[0] != "topic.dead" {
					t.Fatalf("kept %v in %v", letters, kept.topics)
				}
				about := letters[0].Metadata
				for name, want := range map[string]string{
					"reason": string(reason), "error": tc.want, "service": "router", "group": "router", "channel": "in", "name": "topic",
					"route": "h", "handler": "h", "attempts": "1", "type": "a", "id": "1", "time": "2023-11-14T22:13:20Z",
				} {
					if about.Get(name) != want {
						t.Errorf("%s is %q, want %q", name, about.Get(name), want)
					}
				}
				if s := r.Stats().Routes[0]; s.Failed != 1 || s.Dead != 1 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

func TestDeadLetterOfAHandlerThatDoesNotReturn(t *testing.T) {
	for name, tc := range map[string]struct {
		handle func(release <-chan struct{}) error
		reason Reason
	}{
		"deaf": {func(release <-chan struct{}) error {
			<-release
			return nil
		}, ReasonTimeout},
		"Goexit": {func(<-chan struct{}) error {
			runtime.Goexit()
			return nil
		}, ReasonPanic},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				cfg := onStream(HandlerFunc(func(context.Context, *Event) error { return tc.handle(release) }))
				cfg.Routes[0].Policy.Timeout = time.Second
				cfg.Routes[0].Policy.Retry.Attempts = 3 // never: two attempts must not overlap
				kept := &shelf{}
				r := start(t, cfg, Options{Publisher: kept.open})
				r.await(t, r.send(t, message0("1", "a")))
				if about := kept.kept()[0].Metadata; len(kept.kept()) != 1 || about.Get("reason") != string(tc.reason) || about.Get("attempts") != "1" {
					t.Errorf("kept %v", about)
				}
			})
		})
	}
}

// The first failure of an event is told beside the last.
func TestDeadLetterAfterRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := onStream(HandlerFunc(func(context.Context, *Event) error { return errors.New("no") }))
		cfg.Routes[0].Policy.Retry = Retry{Attempts: 3, Backoff: time.Second}
		kept := &shelf{}
		r := start(t, cfg, Options{Publisher: kept.open})
		r.await(t, r.send(t, message0("1", "a")))
		about := kept.kept()[0].Metadata
		first, err1 := time.Parse(time.RFC3339Nano, about.Get("first_time"))
		last, err2 := time.Parse(time.RFC3339Nano, about.Get("last_time"))
		if took := last.Sub(first); err1 != nil || err2 != nil || took < 1500*time.Millisecond || took > 4500*time.Millisecond {
			t.Errorf("first %v, last %v: two pauses of about one and two seconds lie between", first, last)
		}
		if about.Get("attempts") != "3" {
			t.Errorf("%v", about)
		}
	})
}

// Until its letter is written, an event is not done; later events of its lane wait.
func TestDeadLetterThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := true
		kept := &shelf{}
		kept.fail = func(*message.Message) error {
			if full {
				return errors.New("OOM command not allowed")
			}
			return nil
		}
		cfg := onStream(HandlerFunc(func(_ context.Context, e *Event) error {
			if e.ID == "1" {
				return Permanent(errors.New("no"))
			}
			return nil
		}))
		r := start(t, cfg, Options{Publisher: kept.open})
		items := r.send(t, message0("1", "a"), message0("2", "a"))
		time.Sleep(time.Minute)
		if tries := kept.tried(); r.isDone(items[0]) || r.isDone(items[1]) || tries < 12 {
			t.Errorf("done %v %v after %d tries", r.isDone(items[0]), r.isDone(items[1]), tries)
		}
		if lines := r.logs.lines(t, slog.LevelError, "dead letters cannot be written; their events wait"); len(lines) == 0 {
			t.Error("nothing was logged")
		}
		kept.mu.Lock()
		full = false
		kept.mu.Unlock()
		time.Sleep(10 * time.Second)
		r.await(t, items)
		if s := r.Stats().Routes[0]; s.Failed != 1 || s.Dead != 1 || s.Handled != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// When the drain ends first, the event stays with its stream.
func TestDeadLetterCutShort(t *testing.T) {
	kept := &shelf{fail: func(*message.Message) error { return errors.New("away") }}
	cfg := onStream(HandlerFunc(func(context.Context, *Event) error { return errors.New("no") }))
	r := start(t, cfg, Options{Publisher: kept.open, Drain: time.Millisecond})
	items := r.send(t, message0("1", "a"))
	for kept.tried() == 0 {
		time.Sleep(time.Millisecond)
	}
	r.stop()
	_ = receive(t, "Run to return", r.ended)
	if s := r.Stats().Routes[0]; r.isDone(items[0]) || s.Failed != 0 || s.Unfinished != 1 {
		t.Errorf("done %v, stats %+v", r.isDone(items[0]), s)
	}
}

// Of a chunk only what failed is kept, and only what could not be written is tried again.
func TestDeadLettersOfAChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		odd := map[string]bool{"1": true, "3": true, "5": true}
		refused := map[string]bool{"3": true}
		kept := &shelf{fail: func(m *message.Message) error {
			if refused[m.UUID] {
				delete(refused, m.UUID)
				return errors.New("busy")
			}
			return nil
		}}
		h := batcher{batch: func(_ context.Context, events []*Event) []error {
			errs := make([]error, len(events))
			for i, e := range events {
				if odd[e.ID] {
					errs[i] = Permanent(errors.New("odd"))
				}
			}
			return errs
		}}
		r := start(t, onStream(h), Options{Publisher: kept.open})
		r.await(t, r.send(t, message0("1", "a"), message0("2", "a"), message0("3", "a"), message0("4", "a"), message0("5", "a")))
		var ids []string
		for _, m := range kept.kept() {
			ids = append(ids, m.UUID)
		}
		if got := strings.Join(ids, " "); got != "1 5 3" {
			t.Errorf("kept %s, want 1 5 3", got)
		}
	})
}

// What reaches no route is kept by its channel: malformed messages, and the others when
// it is told so.
func TestDeadLettersOfAChannel(t *testing.T) {
	cfg := onStream(accepting)
	cfg.Channels[0].KeepUnmatched = true
	cfg.Routes[0].Types = []string{"a"}
	kept := &shelf{}
	r := start(t, cfg, Options{Publisher: kept.open})
	items := []*batch.Item{
		{Topic: "topic", ID: "1-0", Payload: []byte("not JSON"), Owner: r.carrier},
		{Topic: "topic", ID: "2-0", Payload: []byte(`{"type":"b"}`), Owner: r.carrier},
		{Topic: "topic", ID: "3-0", Payload: []byte(`{"type":"a"}`), Owner: r.carrier, Deliveries: 5},
		{Topic: "topic", ID: "4-0", Payload: []byte(`{"type":"a"}`), Owner: r.carrier, Deliveries: 6},
		{Topic: "topic", ID: "5-0", Payload: []byte(`{"type":"signalbox.gap"}`), Owner: r.carrier},
	}
	r.sendItems(t, items)
	r.await(t, items)
	var got []string
	for _, m := range kept.kept() {
		got = append(got, m.Metadata.Get("entry")+" "+m.Metadata.Get("reason")+" "+string(m.Payload))
	}
	want := "1-0 malformed not JSON\n2-0 unmatched {\"type\":\"b\"}\n4-0 crash_loop {\"type\":\"a\"}"
	if strings.Join(got, "\n") != want {
		t.Errorf("kept\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if s := r.Stats().Channels["in"]; s.Received != 4 || s.Dead != 3 || s.CrashLoop != 1 || s.Unmatched != 1 {
		t.Errorf("stats %+v", s)
	}
}

// An element of an array that is no event is kept alone.
func TestDeadLetterOfAnElement(t *testing.T) {
	cfg := onStream(accepting)
	cfg.Channels[0].Fields.Split = "."
	kept := &shelf{}
	r := start(t, cfg, Options{Publisher: kept.open})
	r.await(t, r.send(t, `[{"type":"a"},{"typ":"b"},{"type":"c"}]`))
	if letters := kept.kept(); len(letters) != 1 || string(letters[0].Payload) != `{"typ":"b"}` {
		t.Errorf("kept %v", letters)
	}
}

// A condition that fails gives its event up on its route only.
func TestDeadLetterOfACondition(t *testing.T) {
	cfg := onStream(accepting)
	cfg.Routes[0].When = func(*Event) (bool, error) { return false, errors.New("no such thing") }
	kept := &shelf{}
	r := start(t, cfg, Options{Publisher: kept.open})
	r.await(t, r.send(t, message0("1", "a")))
	if letters := kept.kept(); len(letters) != 1 || letters[0].Metadata.Get("reason") != "permanent" || letters[0].Metadata.Get("attempts") != "0" {
		t.Errorf("kept %v", letters)
	}
}

// Where the letters go: by default, off, on, to a channel; on the channel and on the route.
func TestDeadLetterPlaces(t *testing.T) {
	for name, tc := range map[string]struct {
		transport      Transport
		channel, route DeadLetter
		want           string
	}{
		"stream":                {Stream, DeadLetter{}, DeadLetter{}, "topic.dead"},
		"pubsub":                {PubSub, DeadLetter{}, DeadLetter{}, ""},
		"pubsub, on":            {PubSub, DeadLetter{On: true}, DeadLetter{}, "topic.dead"},
		"off":                   {Stream, DeadLetter{Off: true}, DeadLetter{}, ""},
		"off, but on the route": {Stream, DeadLetter{Off: true}, DeadLetter{On: true}, "topic.dead"},
		"off on the route":      {PubSub, DeadLetter{On: true}, DeadLetter{Off: true}, ""},
		"a channel":             {Stream, DeadLetter{Channel: "lost"}, DeadLetter{}, "elsewhere"},
		"a channel, by a route": {PubSub, DeadLetter{}, DeadLetter{Channel: "lost"}, "elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := onStream(HandlerFunc(func(context.Context, *Event) error { return errors.New("no") }))
			cfg.Channels[0].Transport, cfg.Channels[0].DeadLetter = tc.transport, tc.channel
			cfg.Channels = append(cfg.Channels, Channel{Name: "lost", Topic: "elsewhere", Transport: Stream})
			cfg.Routes[0].Policy.DeadLetter = tc.route
			kept := &shelf{}
			r := start(t, cfg, Options{Publisher: kept.open})
			r.await(t, r.send(t, message0("1", "a")))
			if got := strings.Join(kept.topics, " "); got != tc.want {
				t.Errorf("kept in %q, want %q", got, tc.want)
			}
			possible := cfg.DeadLetters("in")
			if found := slices.ContainsFunc(possible, func(ch Channel) bool { return ch.Topic == tc.want }); found != (tc.want != "") {
				t.Errorf("they may be in %+v, and are in %q", possible, tc.want)
			}
			for _, ch := range possible {
				if ch.Name == "in.dead" && ch.MaxLen <= 0 {
					t.Errorf("%q grows without bounds", ch.Topic)
				}
			}
			if s := r.Stats().Routes[0]; s.Failed != 1 || (s.Dead == 1) != (tc.want != "") {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestDeadLettersThatCannotBe(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`channel "in": dead letters go to channel "out", which is not declared`: func(c *Config) { c.Channels[0].DeadLetter.Channel = "out" },
		`route "h": dead letters of channel "in" would come back to it`:         func(c *Config) { c.Routes[0].Policy.DeadLetter.Channel = "in" },
		`channel "in" is the pattern "topic", which has no one stream`: func(c *Config) {
			c.Channels[0].Transport, c.Channels[0].Pattern, c.Channels[0].DeadLetter.On = PubSub, true, true
		},
		`Options.Publisher is missing`: func(c *Config) { c.Channels[0].DeadLetter.On = true },
	} {
		cfg := onStream(accepting)
		change(&cfg)
		_, err := New(cfg, Options{Subscriber: func(Channel) (message.Subscriber, error) { return newCarrier(), nil }})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// A dead letter that is tried again goes to its route of its group only, and keeps the
// id and time of its event.
func TestReplay(t *testing.T) {
	var mu sync.Mutex
	var got []string
	note := func(name string) Handler {
		return HandlerFunc(func(_ context.Context, e *Event) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, name+" "+e.ID+" "+e.Time.UTC().Format(time.TimeOnly))
			return nil
		})
	}
	cfg := onStream(note("h"))
	cfg.Handlers = append(cfg.Handlers, handlers(map[string]Handler{"other": note("other")})...)
	cfg.Routes = append(cfg.Routes, Route{Channel: "in", Types: []string{"a"}, Handler: "other"})
	kept := &shelf{}
	r := start(t, cfg, Options{Publisher: kept.open})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var items []*batch.Item
	for i, replay := range []*batch.Replay{
		{Group: "router", Route: "h", Count: 1, ID: "first", Time: at},
		{Group: "elsewhere", Route: "h", Count: 1, ID: "second"},
		{Group: "router", Count: 1, ID: "third", Time: at},
		{Group: "router", Route: "gone", Count: 4, ID: "fourth", Time: at},
	} {
		items = append(items, &batch.Item{Topic: "topic", ID: fmt.Sprint(i, "-0"), Time: time.Now(), Payload: []byte(`{"type":"a"}`), Owner: r.carrier, Replay: replay})
	}
	r.sendItems(t, items)
	r.await(t, items)
	slices.Sort(got)
	if text := strings.Join(got, ", "); text != "h first 03:04:05, h third 03:04:05, other third 03:04:05" {
		t.Error(text)
	}
	letters := kept.kept()
	if len(letters) != 1 || letters[0].Metadata.Get("reason") != "unmatched" || letters[0].Metadata.Get("replays") != "4" || letters[0].Metadata.Get("id") != "fourth" {
		t.Errorf("kept %v", letters)
	}
}
