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
			name: "the data of a message that has some", spec: SourceSpec{Fields: Fields{ID: "n", DefaultType: "trade"}},
			read: `{"stream":"x","n":1,"data":{"p":2}}`,
			want: `{"id":"1","type":"trade","source":"/signalbox/sources/feed","time":"2026-11-26T12:00:00Z","data":{"p":2},"epoch":7,"seq":3}`,
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
