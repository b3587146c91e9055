package router

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// wire is a publisher that keeps what it is given.
type wire struct {
	topic string
	msgs  []*message.Message
	err   error
}

func (w *wire) Publish(topic string, msgs ...*message.Message) error {
	w.topic = topic
	if w.err == nil {
		w.msgs = append(w.msgs, msgs...)
	}
	return w.err
}

func (w *wire) Close() error { return nil }

func publisherTo(w *wire, channels ...Channel) *Publisher {
	return NewPublisher(Config{Service: "bot", Channels: channels}, func(Channel) (message.Publisher, error) { return w, nil })
}

func TestPublishCompletesTheEvent(t *testing.T) {
	w := &wire{}
	p := publisherTo(w, Channel{Name: "out", Topic: "redis-name", Types: []string{"a"}})
	before := time.Now()
	if err := p.Publish(context.Background(), "out", Event{Type: "a", Data: json.RawMessage(`{"x":1}`)}, Event{Type: "signalbox.gap"}); err != nil {
		t.Fatal(err)
	}
	if w.topic != "redis-name" || len(w.msgs) != 2 {
		t.Fatalf("%d messages to %q", len(w.msgs), w.topic)
	}
	events, err := decode(Channel{Name: "out"}, string(w.msgs[0].Payload))
	if err != nil {
		t.Fatal(err)
	}
	e := events[0]
	if len(e.ID) != 36 || e.ID != w.msgs[0].UUID || e.Type != "a" || e.Source != "/signalbox/bot" || string(e.Data) != `{"x":1}` ||
		e.Time.Before(before.Round(0)) || e.Time.After(time.Now()) {
		t.Errorf("event %+v", e)
	}
	if strings.Contains(string(w.msgs[1].Payload), "data") {
		t.Errorf("an event without data: %s", w.msgs[1].Payload)
	}
	full := Event{ID: "7", Type: "a", Source: "/s", Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)), Data: json.RawMessage(`[ 1 ]`)}
	if err := p.Publish(context.Background(), "out", full); err != nil {
		t.Fatal(err)
	}
	if got, want := string(w.msgs[2].Payload), `{"id":"7","type":"a","source":"/s","time":"2026-01-02T02:04:05.000000006Z","data":[ 1 ]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestPublishLayouts(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tc := range []struct {
		name   string
		fields Fields
		event  Event
		want   string // the message, or how the error goes on
	}{
		{"feed", Fields{Type: "e"}, Event{Type: "trade", Data: json.RawMessage(`{"p":"1"}`)}, `{"p":"1","e":"trade"}`},
		{"feed, no data", Fields{Type: "e"}, Event{Type: "trade"}, `{"e":"trade"}`},
		{"feed, nested", Fields{Type: "meta.kind"}, Event{Type: "t", Data: json.RawMessage(`{"meta":{"x":1}}`)}, `{"meta":{"x":1,"kind":"t"}}`},
		{"feed, made", Fields{Type: "meta.kind"}, Event{Type: "t", Data: json.RawMessage(`{}`)}, `{"meta":{"kind":"t"}}`},
		{"feed, in the way", Fields{Type: "meta.kind"}, Event{Type: "t", Data: json.RawMessage(`{"meta":5}`)}, `error: the type can't be set at "meta.kind": "meta" is a number, not an object`},
		{"feed, type there", Fields{Type: "e"}, Event{Type: "trade", Data: json.RawMessage(`{"e":"x","p":1}`)}, `{"e":"trade","p":1}`},
		{"feed, id and time", Fields{Type: "e", ID: "i", Time: "E"}, Event{ID: "7", Type: "t", Time: at, Data: json.RawMessage(`{"E":1}`)}, `{"E":1,"e":"t","i":"7"}`},
		{"feed, odd name", Fields{Type: "a#b*"}, Event{Type: "t"}, `{"a#b*":"t"}`},
		{"feed, data no object", Fields{Type: "e"}, Event{Type: "t", Data: json.RawMessage(`[1]`)}, `error: data must be an object: the channel keeps the type in it, at "e"`},
		{"feed, type twice", Fields{Type: "e"}, Event{Type: "t", Data: json.RawMessage(`{"e":"a","e":"b"}`)}, `error: the field "e" stands twice`},
		{"id elsewhere", Fields{ID: "uid"}, Event{ID: "7", Type: "a", Source: "s", Time: at}, `{"id":"7","type":"a","source":"s","time":"2026-01-02T03:04:05Z","uid":"7"}`},
		{
			"time elsewhere",
			Fields{Time: "meta.at"},
			Event{ID: "7", Type: "a", Source: "s", Time: at},
			`{"id":"7","type":"a","source":"s","time":"2026-01-02T03:04:05Z","meta":{"at":"2026-01-02T03:04:05Z"}}`,
		},
		{
			"type in data",
			Fields{Type: "data.kind"},
			Event{ID: "7", Type: "a", Source: "s", Time: at, Data: json.RawMessage(`{"x":1}`)},
			`{"id":"7","type":"a","source":"s","time":"2026-01-02T03:04:05Z","data":{"x":1,"kind":"a"}}`,
		},
		{"type in data, no object", Fields{Type: "data.kind"}, Event{Type: "a", Data: json.RawMessage(`1`)}, `error: the type can't be set at "data.kind": "data" is a number, not an object`},
		{"key", Fields{Type: "e", Key: "s"}, Event{Type: "t", Key: "BTC"}, `{"e":"t","s":"BTC"}`},
		{"key there", Fields{Type: "e", Key: "s"}, Event{Type: "t", Key: "BTC", Data: json.RawMessage(`{"s":"ETH"}`)}, `{"s":"ETH","e":"t"}`},
		{"key in the way", Fields{Type: "e", Key: "s.t"}, Event{Type: "t", Key: "BTC", Data: json.RawMessage(`{"s":"ETH"}`)}, `{"s":"ETH","e":"t"}`},
		{"default type", Fields{DefaultType: "q"}, Event{ID: "7", Source: "s", Time: at}, `{"id":"7","type":"q","source":"s","time":"2026-01-02T03:04:05Z"}`},
		{"escapes", Fields{}, Event{ID: "\"\n", Type: "ü<", Source: `\`, Time: at}, `{"id":"\"\n","type":"ü<","source":"\\","time":"2026-01-02T03:04:05Z"}`},
		{"split itself", Fields{Split: "."}, Event{ID: "7", Type: "a", Source: "s", Time: at}, `{"id":"7","type":"a","source":"s","time":"2026-01-02T03:04:05Z"}`},
		{"split data", Fields{Split: "data"}, Event{Type: "a", Data: json.RawMessage(`[{"x":1}]`)}, `error: the message has no field "type"`},
		{"no type", Fields{}, Event{Data: json.RawMessage(`{}`)}, `error: the event has no type`},
		{"data no JSON", Fields{}, Event{Type: "a", Data: json.RawMessage(`{'x':1}`)}, `error: data: not JSON: strings stand in double quotes`},
		{"data two values", Fields{}, Event{Type: "a", Data: json.RawMessage(`1,"type":"b"`)}, `error: data: not JSON: more text`},
		{"data NaN", Fields{}, Event{Type: "a", Data: json.RawMessage(`NaN`)}, `error: data: not JSON: NaN`},
		{"data not UTF-8", Fields{}, Event{Type: "a", Data: json.RawMessage("\"\xff\"")}, `error: data: invalid UTF-8`},
		{"data too deep", Fields{}, Event{Type: "a", Data: json.RawMessage(nested("[", "", "]", 1000))}, `error: nested deeper`},
		{"data far too deep", Fields{MaxBytes: 1 << 30}, Event{Type: "a", Data: json.RawMessage(strings.Repeat("[", 20<<20))}, `error: data: nested deeper`},
		{"too big", Fields{MaxBytes: 100}, Event{Type: "a", Data: json.RawMessage(`"` + strings.Repeat("a", 100) + `"`)}, `error: data: the message has 102 bytes`},
		{"type not UTF-8", Fields{}, Event{Type: "a\xff"}, `error: the type "a\xff" is not UTF-8`},
		{"raw", Fields{}, Event{Type: "ignored", Msg: json.RawMessage(` {"type":"a"} `)}, ` {"type":"a"} `},
		{"raw, split", Fields{Split: "."}, Event{Msg: json.RawMessage(`[{"type":"a"},{"type":"b"}]`)}, `[{"type":"a"},{"type":"b"}]`},
		{"raw, split, bad", Fields{Split: "."}, Event{Msg: json.RawMessage(`[{"type":"a"},{}]`)}, `error: the message has no field "type"`},
		{"raw, bad", Fields{}, Event{Type: "a", Msg: json.RawMessage(`{}`)}, `error: the message has no field "type"`},
		{"raw, empty", Fields{}, Event{Type: "a", Msg: json.RawMessage{}}, `error: the message is empty`},
	} {
		w := &wire{}
		data := bytes.Clone(tc.event.Data)
		err := publisherTo(w, Channel{Name: "out", Fields: tc.fields}).Publish(context.Background(), "out", Event{Type: "first", ID: "1", Source: "s"}, tc.event)
		if want, bad := strings.CutPrefix(tc.want, "error: "); bad {
			if err == nil || !IsPermanent(err) || !strings.HasPrefix(err.Error(), `publish to "out": `+want) || len(w.msgs) != 0 {
				t.Errorf("%s: error %.300v and %d messages, want %s", tc.name, err, len(w.msgs), want)
			}
			continue
		}
		if err != nil || len(w.msgs) != 2 || string(w.msgs[1].Payload) != tc.want {
			t.Errorf("%s: error %v, messages %v, want %s", tc.name, err, w.msgs, tc.want)
		}
		if !bytes.Equal(data, tc.event.Data) {
			t.Errorf("%s: the event's data was changed", tc.name)
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	ctx := context.Background()
	away := errors.New("away")
	opened := 0
	p := NewPublisher(Config{Channels: []Channel{{Name: "out", Types: []string{"a", "b"}}, {Name: "all", Topic: "all.*", Pattern: true}}},
		func(Channel) (message.Publisher, error) {
			if opened++; opened == 1 {
				return nil, away
			}
			return &wire{}, nil
		})
	if err := p.Publish(ctx, "out", Event{Type: "a"}); !errors.Is(err, away) || IsPermanent(err) {
		t.Errorf("not opened: %v; trying again may help", err)
	}
	if err := p.Publish(ctx, "out", Event{Type: "a"}); err != nil {
		t.Errorf("opened at the second try: %v", err)
	}
	for _, tc := range []struct{ channel, typ, want string }{
		{"nowhere", "a", `channel "nowhere" is not declared`},
		{"all", "a", `channel "all" is the pattern "all.*"`},
		{"out", "c", `type "c" is not one of its types: a, b`},
	} {
		events := []Event{{Type: tc.typ}}
		if err := p.Publish(ctx, tc.channel, events...); !IsPermanent(err) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %s", err, tc.want)
		}
		errs := p.Forward(ctx, tc.channel, []*Event{{Type: tc.typ, Channel: "out", Msg: json.RawMessage(`{}`)}})
		if len(errs) != 1 || !IsPermanent(errs[0]) || !strings.Contains(errs[0].Error(), tc.want) {
			t.Errorf("Forward: %v, want %s", errs, tc.want)
		}
	}
	none := NewPublisher(Config{Channels: []Channel{{Name: "out"}}}, nil)
	if err := none.Publish(ctx, "out", Event{Type: "a"}); !IsPermanent(err) || !strings.Contains(err.Error(), "Options.Publisher") {
		t.Errorf("no publisher: %v", err)
	}
}

// A channel that keeps its fields elsewhere than the source would reject the message.
func TestForwardBetweenLayouts(t *testing.T) {
	w := &wire{}
	p := publisherTo(w, Channel{Name: "feed", Fields: Fields{Type: "e"}}, Channel{Name: "out"})
	binance := &Event{Channel: "feed", Type: "trade", Msg: json.RawMessage(`{"e":"trade","p":"1"}`)}
	both := &Event{Channel: "feed", Type: "trade", Msg: json.RawMessage(`{"e":"trade","type":"trade"}`)}
	errs := p.Forward(t.Context(), "out", []*Event{binance, both})
	if len(errs) != 2 || !IsPermanent(errs[0]) || !strings.Contains(errs[0].Error(), `no field "type"`) || errs[1] != nil {
		t.Errorf("Forward: %v", errs)
	}
	if len(w.msgs) != 1 || string(w.msgs[0].Payload) != string(both.Msg) {
		t.Errorf("forwarded %v", w.msgs)
	}
}

// When only some messages can be sent, each error stays with its event.
func TestPublishPartly(t *testing.T) {
	ctx := context.Background()
	first, third := errors.New("first"), errors.New("third")
	w := &wire{err: fmt.Errorf("XADD: %w", batch.Errors{first, nil, third})}
	p := publisherTo(w, Channel{Name: "out", Types: []string{"a"}})
	events := []*Event{
		{ID: "0", Type: "other", Msg: json.RawMessage(`{"type":"other","n":0}`)},
		{ID: "1", Type: "a", Msg: json.RawMessage(`{"type":"a","n":1}`)},
		{ID: "2", Type: "a", Msg: json.RawMessage(`{"type":"a","n":2}`)},
		{ID: "3", Type: "other", Msg: json.RawMessage(`{"type":"other","n":3}`)},
		{ID: "4", Type: "a", Msg: json.RawMessage(`{"type":"a","n":4}`)},
	}
	errs := p.Forward(ctx, "out", events)
	if len(errs) != 5 || !IsPermanent(errs[0]) || !errors.Is(errs[1], first) || errs[2] != nil || !IsPermanent(errs[3]) || !errors.Is(errs[4], third) {
		t.Errorf("Forward: %v", errs)
	}
	err := p.Publish(ctx, "out", Event{Type: "a"}, Event{Type: "a"}, Event{Type: "a"})
	if !errors.Is(err, first) || !errors.Is(err, third) || IsPermanent(err) {
		t.Errorf("Publish: %v", err)
	}

	w.err = errors.New("gone")
	for i, err := range p.Forward(ctx, "out", events[1:3]) {
		if !errors.Is(err, w.err) {
			t.Errorf("Forward, all failed, %d: %v", i, err)
		}
	}
	w.err = batch.Errors{first} // of a length that fits no event
	for i, err := range p.Forward(ctx, "out", events[1:3]) {
		if err == nil {
			t.Errorf("Forward, odd length, %d: no error", i)
		}
	}
	w.err = nil
	if errs := p.Forward(ctx, "out", events[1:3]); errs != nil {
		t.Errorf("Forward: %v", errs)
	}
	if len(w.msgs) != 2 || string(w.msgs[0].Payload) != `{"type":"a","n":1}` || w.msgs[1].UUID != "2" {
		t.Errorf("forwarded %v", w.msgs)
	}
	if errs := p.Forward(ctx, "out", nil); len(errs) != 0 {
		t.Errorf("Forward of nothing: %v", errs)
	}
	if err := p.Publish(ctx, "out"); err != nil {
		t.Errorf("Publish of nothing: %v", err)
	}
}

func randomText(r *rand.Rand) string {
	runes := []rune("ab.*!\"\\/{}[]\n\t\x00\x7fé🚂\u2028<>&'")
	text := make([]rune, 1+r.IntN(6))
	for i := range text {
		text[i] = runes[r.IntN(len(runes))]
	}
	return string(text)
}

func randomJSON(r *rand.Rand, depth int) any {
	switch n := r.IntN(7); {
	case depth == 0 || n < 2:
		return []any{nil, true, 1.5, -7.0, randomText(r)}[r.IntN(5)]
	case n < 4:
		return []any{randomJSON(r, depth-1), randomJSON(r, depth-1)}
	default:
		return randomObject(r, depth-1)
	}
}

func randomObject(r *rand.Rand, depth int) map[string]any {
	object := map[string]any{}
	for range r.IntN(4) {
		object[[]string{"x", "data", "meta", "s", randomText(r)}[r.IntN(5)]] = randomJSON(r, depth)
	}
	return object
}

// What Publish sends, a reader of the same channel accepts, and it is the same event.
func TestPublishRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	for range 5000 {
		ch := Channel{Name: "c", Fields: Fields{
			Type: pick("", "type", "e", "meta.kind", "a.b.c", "#"), ID: pick("", "id", "uid", "meta.id"), Time: pick("", "E", "meta.at"), Split: pick("", "", ".", "items"),
		}}
		feed := or(ch.Fields.Type, "type") != "type"
		want := Event{Type: randomText(r), ID: randomText(r), Time: time.Unix(r.Int64N(1e10), r.Int64N(1e9)).UTC()}
		object := map[string]any{}
		var value any
		if feed {
			object = randomObject(r, 2)
			for _, taken := range []string{"meta", "a", "data", "id", "uid", "E", "e", "time", "items", "#"} {
				delete(object, taken)
			}
			value = object
		} else {
			value = randomJSON(r, 3)
		}
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		want.Data = data
		w := &wire{}
		if err := publisherTo(w, ch).Publish(context.Background(), "c", want); err != nil {
			t.Fatalf("seed %d: %+v: %v", seed, ch.Fields, err)
		}
		events, err := decode(ch, string(w.msgs[0].Payload))
		if err != nil || len(events) != 1 {
			t.Fatalf("seed %d: %+v: %s: %d events, %v", seed, ch.Fields, w.msgs[0].Payload, len(events), err)
		}
		got := events[0]
		if got.Type != want.Type {
			t.Fatalf("seed %d: %+v: type %q, want %q: %s", seed, ch.Fields, got.Type, want.Type, got.Msg)
		}
		if (!feed || ch.Fields.ID != "") && got.ID != want.ID || (!feed || ch.Fields.Time != "") && !got.Time.Equal(want.Time) {
			t.Fatalf("seed %d: %+v: id %q, time %v, want %q, %v: %s", seed, ch.Fields, got.ID, got.Time, want.ID, want.Time, got.Msg)
		}
		if !feed && string(got.Data) != string(data) {
			t.Fatalf("seed %d: %+v: data %s, want %s", seed, ch.Fields, got.Data, data)
		}
		if feed {
			var sent map[string]any
			if err := json.Unmarshal(got.Msg, &sent); err != nil {
				t.Fatal(err)
			}
			for name, v := range object {
				var plain any
				text, _ := json.Marshal(v)
				_ = json.Unmarshal(text, &plain)
				if !reflect.DeepEqual(sent[name], plain) {
					t.Fatalf("seed %d: %s lost %q", seed, got.Msg, name)
				}
			}
		}
	}
}

// A stream that nobody bounds would fill Redis.
func TestPublisherBoundsStreams(t *testing.T) {
	var opened []Channel
	open := func(ch Channel) (message.Publisher, error) {
		opened = append(opened, ch)
		return &shelf{}, nil
	}
	p := NewPublisher(Config{Channels: []Channel{{Name: "out", Transport: Stream}, {Name: "short", Transport: Stream, MaxLen: 7}}}, open)
	for _, name := range []string{"out", "short"} {
		if err := p.Publish(t.Context(), name, Event{Type: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(opened) != 2 || opened[0].MaxLen != 100_000 || opened[0].Topic != "out" || opened[1].MaxLen != 7 {
		t.Errorf("opened %+v", opened)
	}
}
