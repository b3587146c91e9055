package router

import (
	"fmt"
	"strings"
	"testing"
)

// The key before decoding is the event's.
func TestKeyOf(t *testing.T) {
	t.Parallel()
	for _, fields := range []Fields{
		{},
		{Key: "key"},
		{Key: "data.symbol"},
		{Key: "data.a#b*?|@x"},
		{KeyFromName: true},
		{Key: "data.symbol", KeyFromName: true},
	} {
		ch := Channel{Name: "in", Fields: fields}
		keyOf := KeyOf(ch)
		for _, payload := range []string{
			`{"type":"a"}`,
			`{"type":"a","key":"k","data":{"symbol":"BTC"}}`,
			`{"data":{"symbol":"B\u0054C\n"},"type":"a","key":""}`,
			`{"type":"a","key":17,"data":{"symbol":1.50}}`,
			`{"type":"a","key":null,"data":{"symbol":true}}`,
			`{"type":"a","key":["k"],"data":[{"symbol":"x"}]}`,
			`{"type":"a","data.symbol":"x","data":{"a#b*?|@x":"y"}}`,
		} {
			events, err := Decode(ch, Message{Name: "prices.BTC", Payload: []byte(payload)})
			if err != nil {
				t.Fatal(err)
			}
			if got := keyOf("prices.BTC", []byte(payload)); got != events[0].Key {
				t.Errorf("%+v of %s: key %q, the event's is %q", fields, payload, got, events[0].Key)
			}
		}
		for _, bad := range []string{"", "hello", `{"key":`, `{"data":{"symbol":"`, "\xff\x00", "[1,"} {
			keyOf("name", []byte(bad)) // must not panic
		}
	}
}

func BenchmarkKeyOf(b *testing.B) {
	keyOf := KeyOf(Channel{Fields: Fields{Key: "data.symbol"}})
	payload := fmt.Appendf(nil, `{"type":"tick","source":"/feed","data":{"price":97000.5,"bid":97000.25,"ask":97000.75,"symbol":"BTCUSDT"}}`)
	b.ReportAllocs()
	for b.Loop() {
		keyOf("prices", payload)
	}
}

func TestNewChecksOverflow(t *testing.T) {
	for _, tc := range []struct {
		channel Channel
		want    string
	}{
		{Channel{Overflow: NewestPerKey, Fields: Fields{Key: "k"}}, ""},
		{Channel{Overflow: NewestPerKey, Fields: Fields{KeyFromName: true}}, ""},
		{Channel{Overflow: DropOldest}, ""},
		{Channel{Overflow: NewestPerKey}, `channel "in": overflow "newest_per_key" needs Fields.Key`},
		{Channel{Overflow: NewestPerKey, Fields: Fields{Key: "k", Split: "."}}, `a message that is split has no key of its own`},
		{Channel{Overflow: "block"}, `unknown overflow "block"`},
	} {
		cfg := one(accepting)
		tc.channel.Name = cfg.Channels[0].Name
		cfg.Channels[0] = tc.channel
		_, err := normalize(cfg)
		if got := fmt.Sprint(err); tc.want == "" && err != nil || !strings.Contains(got, tc.want) {
			t.Errorf("%+v: error %v, want %s", tc.channel, err, tc.want)
		}
	}
}
