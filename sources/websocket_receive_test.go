package sources

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"signalbox/router"
)

type noSink struct{}

func (noSink) Opened(string) {}
func (noSink) Alive()        {}
func (noSink) Emit([]byte)   {}
func (noSink) Trouble(error) {}

// BenchmarkWebSocketReceive is what looking at a message costs, with rules such as Alpaca needs.
func BenchmarkWebSocketReceive(b *testing.B) {
	message := []byte(`[{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","I"],"z":"C"},` +
		`{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":1,"ax":"Q","ap":87.68,"as":4,"t":"2021-02-22T15:51:45.335689322Z","c":["R"],"z":"C"}]`)
	for name, o := range map[string]WebSocketOptions{
		"nothing to look for": {},
		"rules": {
			Errors:    []WebSocketError{{Match: table{"T": "error", "code": int64(406)}, Then: "stand_down"}, {Match: table{"T": "error"}, Then: "retry"}},
			Heartbeat: table{"T": "heartbeat"},
		},
	} {
		b.Run(name, func(b *testing.B) {
			o.URL = []string{"ws://host"}
			plan, err := newWSPlan(o)
			if err != nil {
				b.Fatal(err)
			}
			var to router.Sink = noSink{}
			s := newWSSession(context.Background(), &webSocket{plan: plan, to: to}, &wsLink{}, wsValues{})
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.receive(message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Whatever a server says, it is looked at without a panic, and what is data comes out as it came
// in, or as an array of what is left of it.
func FuzzWebSocketReceive(f *testing.F) {
	for _, seed := range []string{"", "[", "[{", `[{"T":"error"},{"T":"t"}]`, `{"ping":1}`, `[1,"hb"]`, "hb", `[[{"T":"error"}]]`, "[{}]\n", `[{"T":"hb"},{"T":"hb"}]`} {
		f.Add([]byte(seed))
	}
	plan, err := newWSPlan(WebSocketOptions{
		URL:       []string{"ws://host"},
		Errors:    []WebSocketError{{Match: table{"T": "error"}, Then: "ignore"}},
		Heartbeat: []any{"hb", table{"1": "hb"}, table{"T": "hb"}},
		Reply:     []WebSocketReply{{On: table{"ping": "*"}, Send: table{"pong": "{on.ping}"}}},
		Greeting:  WebSocketAnswer{Expect: table{"T": []any{"success"}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		sink := newWSSink(t)
		s := newWSSession(t.Context(), &webSocket{plan: plan, to: sink, log: slog.New(slog.DiscardHandler)}, &wsLink{}, wsValues{})
		if err := s.receive(bytes.Clone(message)); err != nil {
			t.Errorf("%q: %v", message, err)
		}
		select {
		case said := <-sink.said:
			if left := strings.TrimPrefix(said, "data "); left != string(message) && !json.Valid([]byte(left)) {
				t.Errorf("%q becomes %q", message, left)
			}
		default:
			if sink.alive.Load() == 0 {
				t.Errorf("%q is lost", message)
			}
		}
	})
}
