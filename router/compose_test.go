package router

import (
	"strings"
	"testing"
	"time"
)

// What a source publishes of a message, on channels that keep their fields in different places.
func TestCompose(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)
	feed := Fields{Type: "T", ID: "i", Time: "t", Key: "S"}
	for _, c := range []struct {
		name, message string
		channel       Channel
		spec          SourceSpec
		want, key     string // or the error
	}{
		{
			"an envelope, with all fields", `{"T":"trade","i":7,"t":1795771800000,"S":"A"}`,
			Channel{Fields: Fields{Key: "data.S"}},
			SourceSpec{Fields: feed},
			`{"id":"7","type":"trade","source":"/signalbox/sources/feed","time":"2026-11-27T09:30:00Z","data":{"T":"trade","i":7,"t":1795771800000,"S":"A"},"epoch":3,"seq":9}`, "A",
		},
		{
			"the time of arrival", `{"T":"trade","i":7,"S":"A"}`,
			Channel{},
			SourceSpec{Fields: feed},
			`{"id":"7","type":"trade","source":"/signalbox/sources/feed","time":"2026-11-27T09:30:00Z","data":{"T":"trade","i":7,"S":"A"},"epoch":3,"seq":9}`, "",
		},
		{
			"raw", `{"T":"trade",  "i":7}`,
			Channel{Fields: Fields{Type: "T", ID: "i"}},
			SourceSpec{Fields: feed, Raw: true},
			`{"T":"trade",  "i":7}`, "",
		},
		{"raw, and no reader would find the type", `{"T":"trade","i":7}`, Channel{}, SourceSpec{Fields: feed, Raw: true}, "no_type", ""},
		{
			"a channel that keeps the type elsewhere", `{"T":"trade","i":7,"S":"A"}`,
			Channel{Fields: Fields{Type: "e", ID: "n"}},
			SourceSpec{Fields: feed},
			`{"T":"trade","i":7,"S":"A","e":"trade","n":"7"}`, "",
		},
		{"a type that is not declared", `{"T":"quote"}`, Channel{Types: []string{"trade"}}, SourceSpec{Fields: feed}, ErrOtherType.Error(), ""},
		{
			"a type by default", `{"i":7}`,
			Channel{},
			SourceSpec{Fields: Fields{DefaultType: "trade", ID: "i"}},
			`{"id":"7","type":"trade","source":"/signalbox/sources/feed","time":"2026-11-27T09:30:00Z","data":{"i":7},"epoch":3,"seq":9}`, "",
		},
		{
			"of what has data, the data", `{"type":"trade","id":"7","topic":"lost","data":{"p":1}}`,
			Channel{},
			SourceSpec{},
			`{"id":"7","type":"trade","source":"/signalbox/sources/feed","time":"2026-11-27T09:30:00Z","data":{"p":1},"epoch":3,"seq":9}`, "",
		},
		{"larger than the channel takes", `{"T":"trade","x":"` + strings.Repeat("x", 2000) + `"}`, Channel{Fields: Fields{MaxBytes: 1024}}, SourceSpec{Fields: feed}, "too_big", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.channel.Name, c.spec.Name, c.spec.Channel = "prices", "feed", "prices"
			composer, err := NewComposer(Config{Channels: []Channel{c.channel}}, c.spec)
			if err != nil {
				t.Fatal(err)
			}
			events, err := composer.Read([]byte(c.message), at)
			if err != nil || len(events) != 1 {
				t.Fatalf("%d events, %v", len(events), err)
			}
			made, err := composer.Compose(&events[0])
			got := string(made.Payload(Stamp{Epoch: 3, Seq: 9}))
			if malformed, is := AsMalformed(err); is {
				got = string(malformed.Cause)
			} else if err != nil {
				got = err.Error()
			}
			if got != c.want || made.Key != c.key {
				t.Errorf("got  %s, key %q\nwant %s, key %q", got, made.Key, c.want, c.key)
			}
		})
	}
}

// What the holder says of itself fits on every channel that it could publish to, or is refused.
func TestComposeOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		channel Channel
	}{
		{"an envelope", Channel{}},
		{"types do not count", Channel{Types: []string{"trade"}}},
		{"a type elsewhere", Channel{Fields: Fields{Type: "e"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.channel.Name = "prices"
			composer, err := NewComposer(Config{Service: "desk", Channels: []Channel{c.channel}}, SourceSpec{Name: "feed", Channel: "prices"})
			if err != nil {
				t.Fatal(err)
			}
			made, err := composer.Own(TypeConnected, "", Connection{Source: "feed", Epoch: 3}, time.Now())
			if err != nil || made.Type != TypeConnected || made.ID == "" && c.channel.Fields.Type == "" {
				t.Errorf("%+v, %v", made, err)
			}
		})
	}
}

// A source cannot publish to what is no channel, or not one.
func TestNewComposerRefuses(t *testing.T) {
	t.Parallel()
	for want, channels := range map[string][]Channel{
		`source "feed": channel "prices" is not declared`:                           nil,
		`source "feed": channel "prices" is a pattern, which nobody can publish to`: {{Name: "prices", Pattern: true}},
	} {
		if _, err := NewComposer(Config{Channels: channels}, SourceSpec{Name: "feed", Channel: "prices"}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
