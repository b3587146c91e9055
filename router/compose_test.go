package router

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestComposer(t *testing.T) {
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	stamp := Stamp{Epoch: 7, Seq: 3}
	for _, c := range []struct {
		name    string
		channel Channel
		spec    SourceSpec
		read    string
		want    string // the payloads, a line each; or what the error has in it
		key     string
		err     bool
	}{
		{
			name: "an envelope", channel: Channel{Fields: Fields{Key: "data.S"}}, spec: SourceSpec{Fields: Fields{Type: "T", ID: "i", Time: "t"}},
			read: `{"T":"t","i":5,"S":"AAPL","t":1764158400000}`, key: "AAPL",
			want: `{"id":"5","type":"t","source":"/signalbox/sources/feed","time":"2025-11-26T12:00:00Z","data":{"T":"t","i":5,"S":"AAPL","t":1764158400000},"epoch":7,"seq":3}`,
		},
		{
			name: "of an envelope, its data",
			read: `{"id":"1","type":"trade","time":"2026-11-26T13:00:00Z","data":{"p":2}}`,
			want: `{"id":"1","type":"trade","source":"/signalbox/sources/feed","time":"2026-11-26T13:00:00Z","data":{"p":2},"epoch":7,"seq":3}`,
		},
		{
			name: "of what has data and is no envelope, all", channel: Channel{Fields: Fields{Key: "data.stream"}}, spec: SourceSpec{Fields: Fields{ID: "n", DefaultType: "trade"}},
			read: `{"stream":"x","n":1,"data":{"p":2}}`, key: "x",
			want: `{"id":"1","type":"trade","source":"/signalbox/sources/feed","time":"2026-11-26T12:00:00Z","data":{"stream":"x","n":1,"data":{"p":2}},"epoch":7,"seq":3}`,
		},
		{
			name: "an array", spec: SourceSpec{Fields: Fields{Type: "T", ID: "i", Split: "."}},
			read: `[{"T":"a","i":1},{"T":"b","i":2}]`,
			want: `{"id":"1","type":"a","source":"/signalbox/sources/feed","time":"2026-11-26T12:00:00Z","data":{"T":"a","i":1},"epoch":7,"seq":3}` + "\n" +
				`{"id":"2","type":"b","source":"/signalbox/sources/feed","time":"2026-11-26T12:00:00Z","data":{"T":"b","i":2},"epoch":7,"seq":3}`,
		},
		{
			name: "a key that the channel keeps where the feed has none", channel: Channel{Fields: Fields{Key: "symbol"}}, spec: SourceSpec{Fields: Fields{Type: "T", ID: "i", Key: "S"}},
			read: `{"T":"t","i":5,"S":"AAPL"}`, key: "AAPL",
			want: `{"id":"5","type":"t","source":"/signalbox/sources/feed","time":"2026-11-26T12:00:00Z","data":{"T":"t","i":5,"S":"AAPL"},"symbol":"AAPL","epoch":7,"seq":3}`,
		},
		{
			name: "raw", channel: Channel{Fields: Fields{Type: "e", ID: "t", Key: "s"}}, spec: SourceSpec{Raw: true, Fields: Fields{Type: "e", ID: "t"}},
			read: `{"e": "trade", "t": 5, "s": "BTC"}`, key: "BTC",
			want: `{"e": "trade", "t": 5, "s": "BTC"}`,
		},
		{
			name: "a channel that keeps the type in the data has no room for a stamp", channel: Channel{Fields: Fields{Type: "e"}}, spec: SourceSpec{Fields: Fields{Type: "T", ID: "i"}},
			read: `{"T":"t","i":5}`,
			want: `{"T":"t","i":5,"e":"t"}`,
		},
		{name: "a type that the channel does not declare", channel: Channel{Types: []string{"trade"}}, read: `{"type":"quote"}`, want: "does not declare its type", err: true},
		{name: "too large for the channel", channel: Channel{Fields: Fields{MaxBytes: 100}}, read: `{"type":"t","data":"` + strings.Repeat("x", 100) + `"}`, want: "bytes", err: true},
		{name: "no JSON", read: `hello`, want: "not JSON", err: true},
		{name: "no type", read: `{"a":1}`, want: `no field "type"`, err: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.channel.Name, c.spec.Name, c.spec.Channel = "prices", "feed", "prices"
			composer, err := NewComposer(Config{Channels: []Channel{c.channel}}, c.spec)
			if err != nil {
				t.Fatal(err)
			}
			events, err := composer.Read([]byte(c.read), at)
			var got []string
			for i := range events {
				var m Composed
				if m, err = composer.Compose(&events[i]); err != nil {
					break
				}
				if m.Key != c.key || m.Type != events[i].Type {
					t.Errorf("key %q, type %q", m.Key, m.Type)
				}
				got = append(got, string(m.Payload(stamp)))
			}
			switch {
			case c.err && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want one with %q", err, c.want)
			case !c.err && (err != nil || strings.Join(got, "\n") != c.want):
				t.Errorf("error %v, composed\n%s\nwant\n%s", err, strings.Join(got, "\n"), c.want)
			}
			if _, other := errors.AsType[*Malformed](err); c.err && !other && !errors.Is(err, ErrOtherType) {
				t.Errorf("error %T is neither malformed nor of another type", err)
			}
		})
	}
}

// What a composer writes is what a reader of the channel reads.
func TestComposerOwn(t *testing.T) {
	for _, channel := range []Channel{
		{Name: "prices"},
		{Name: "prices", Types: []string{"tick"}},
		{Name: "prices", Fields: Fields{Type: "e", ID: "n", Key: "s"}},
		{Name: "prices", Fields: Fields{Type: "data.type", Key: "data.S"}},
	} {
		composer, err := NewComposer(Config{Service: "bot", Channels: []Channel{channel}}, SourceSpec{Name: "feed", Channel: "prices"})
		if err != nil {
			t.Fatal(err)
		}
		m, err := composer.Own(TypeConnected, "", Connection{Source: "feed", Service: "bot", Epoch: 7}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		events, err := Decode(channel, Message{Payload: m.Payload(Stamp{Epoch: 7, Seq: 1}), Name: "prices"})
		if err != nil || len(events) != 1 || events[0].Type != TypeConnected || !strings.Contains(string(events[0].Data), `"source":"feed"`) {
			t.Errorf("%+v: %v, %+v", channel.Fields, err, events)
		}
	}
}

func TestComposerWithoutChannel(t *testing.T) {
	for _, c := range []struct {
		channel Channel
		want    string
	}{
		{Channel{Name: "other"}, `source "feed": channel "prices" is not declared`},
		{Channel{Name: "prices", Topic: "p:*", Pattern: true}, `source "feed": channel "prices" is a pattern, which nobody can publish to`},
	} {
		if _, err := NewComposer(Config{Channels: []Channel{c.channel}}, SourceSpec{Name: "feed", Channel: "prices"}); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// composed are the payloads of what a source makes of a message, and the errors.
func composed(t *testing.T, spec SourceSpec, message string) (payloads []string, errs error) {
	t.Helper()
	spec.Name, spec.Channel = "feed", "prices"
	c, err := NewComposer(Config{Channels: []Channel{{Name: "prices", Fields: Fields{Type: spec.Fields.Type}}}}, spec)
	if err != nil {
		t.Fatal(err)
	}
	events, errs := c.Read([]byte(message), time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC))
	for i := range events {
		composed, err := c.Compose(&events[i])
		if errs = errors.Join(errs, err); err == nil {
			payloads = append(payloads, string(composed.Payload(Stamp{Epoch: 1, Seq: 1})))
		}
	}
	return payloads, errs
}

// What comes from outside cannot say that a source is connected, or that something is missing.
func TestSourcesForgeNoOwnEvents(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{TypeConnected, TypeDisconnected, TypeGap, TypeStale, "signalbox.new"} {
		for _, spec := range []SourceSpec{{}, {Raw: true}, {Fields: Fields{Type: "T"}}} {
			payloads, err := composed(t, spec, `{"`+or(spec.Fields.Type, "type")+`":"`+typ+`"}`)
			if m, ok := AsMalformed(err); !ok || m.Cause != CauseBadType || len(payloads) > 0 {
				t.Errorf("%s: %s, %v", typ, payloads, err)
			}
		}
	}
	if payloads, err := composed(t, SourceSpec{}, `{"type":"signalboxes"}`); err != nil || len(payloads) != 1 {
		t.Errorf("%s, %v", payloads, err)
	}
}

// A time that cannot be written as RFC 3339 counts as missing.
func TestSourcesPublishNoAbsurdTimes(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"9999-12-31T23:59:59.9-23:59", "0000-01-01T00:00:00+23:59", "300000-01-01T00:00:00Z", "0001-01-01T00:00:00Z"} {
		payloads, err := composed(t, SourceSpec{}, `{"type":"t","time":"`+at+`"}`)
		if err != nil || len(payloads) != 1 || !strings.Contains(payloads[0], `"time":"2026-11-27T01:02:03Z"`) {
			t.Errorf("%s: %s, %v", at, payloads, err)
		}
	}
}
