package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
)

// asks is a schema that messages with a text satisfy.
func asks(text string) Schema {
	return Schema{
		Text: []byte(text),
		Check: func(msg []byte) error {
			if bytes.Contains(msg, []byte(text)) {
				return nil
			}
			return errors.New("data." + text + " is missing")
		},
	}
}

func TestSchemaRejects(t *testing.T) {
	ch := Channel{Name: "in", Schemas: map[string]Schema{"enter": asks("size")}, Fields: Fields{DefaultType: "enter"}}
	for _, tc := range []struct{ payload, want string }{
		{`{"type":"enter","data":{"size":1}}`, ""},
		{`{"type":"exit"}`, ""},
		{`{"type":"enter","data":{}}`, `data.size is missing (schema of type "enter"): "{\"type\":\"enter\",\"data\":{}}"`},
		{`{"\u0074ype":"ente\u0072"}`, `data.size is missing (schema of type "enter"): `},
		{`{}`, `data.size is missing (schema of type "enter"): "{}"`},
		{`{"type":"enter"`, "not JSON: "},
	} {
		events, err := decode(ch, tc.payload)
		if tc.want == "" {
			if err != nil || len(events) != 1 {
				t.Errorf("%s: %d events, %v", tc.payload, len(events), err)
			}
			continue
		}
		m, ok := AsMalformed(err)
		if !ok || len(events) != 0 || !strings.HasPrefix(m.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.payload, err, tc.want)
		} else if strings.HasPrefix(tc.want, "data.size") && m.Cause != CauseSchema {
			t.Errorf("%s: cause %s", tc.payload, m.Cause)
		}
		if _, err := Decode(ch, Message{Payload: []byte(tc.payload)}); err == nil {
			t.Errorf("%s: Decode has no error", tc.payload)
		}
	}
}

// Each element of an array is checked by itself: the others are handled.
func TestSchemaOfElements(t *testing.T) {
	ch := Channel{Name: "in", Schemas: map[string]Schema{"enter": asks("size")}, Fields: Fields{Split: splitSelf}}
	events, err := decode(ch, `[{"type":"enter","size":1},{"type":"enter"},{"type":"exit"}]`)
	if m, ok := AsMalformed(err); !ok || m.Cause != CauseSchema || m.Head != `"{\"type\":\"enter\"}"` {
		t.Errorf("error %v", err)
	}
	if len(events) != 2 || events[0].Type != "enter" || events[1].Type != "exit" {
		t.Errorf("events %+v", events)
	}
}

// What a schema refuses is rejected as other malformed messages are: counted, logged and
// kept, and no route has it.
func TestSchemaOfAChannel(t *testing.T) {
	var outcomes []Outcome
	w := &wire{}
	cfg := one(accepting)
	cfg.Channels[0] = Channel{Name: "in", Transport: Stream, Schemas: map[string]Schema{"enter": asks("size")}}
	r := start(t, cfg, Options{
		Observe:   func(o Outcome) { outcomes = append(outcomes, o) },
		Publisher: func(Channel) (message.Publisher, error) { return w, nil },
	})
	r.await(t, r.send(t, `{"type":"enter"}`))
	r.await(t, r.send(t, `{"type":"enter","size":1}`))
	if s := r.Stats(); s.Channels["in"].Rejected[CauseSchema] != 1 || s.Channels["in"].Received != 2 || s.Routes[0].Handled != 1 {
		t.Errorf("stats %+v", s)
	}
	if len(outcomes) != 2 || outcomes[0].Result != Rejected || outcomes[0].Reason != ReasonMalformed || !outcomes[0].Kept || outcomes[0].Event != nil {
		t.Errorf("outcomes %+v", outcomes)
	}
	if len(w.msgs) != 1 || w.topic != "in.dead" || !strings.HasPrefix(w.msgs[0].Metadata["error"], `data.size is missing (schema of type "enter")`) {
		t.Errorf("dead letters %v in %q", w.msgs, w.topic)
	}
	lines := r.logs.lines(t, -8, "message rejected")
	if len(lines) != 1 || lines[0]["cause"] != "schema" || lines[0]["channel"] != "in" {
		t.Errorf("log %v", lines)
	}
}

func TestPublisherAsksTheSchema(t *testing.T) {
	w := &wire{}
	p := publisherTo(w, Channel{Name: "out", Schemas: map[string]Schema{"enter": asks("size")}}, Channel{Name: "in"}, Channel{Name: "feed", Fields: Fields{Type: "e"}})
	good, bad := json.RawMessage(`{"e":"enter","type":"enter","size":1}`), json.RawMessage(`{"e":"enter","type":"enter"}`)
	const want = `data.size is missing (schema of type "enter")`
	refused := func(err error) bool { return IsPermanent(err) && strings.Contains(err.Error(), want) }
	for _, event := range []Event{{Type: "enter"}, {Msg: bad}} {
		if err := p.Publish(t.Context(), "out", Event{Type: "exit"}, event); !refused(err) {
			t.Errorf("Publish: %v", err)
		}
	}
	if len(w.msgs) != 0 {
		t.Errorf("%d messages were sent", len(w.msgs))
	}
	for _, from := range []string{"in", "feed", "elsewhere"} {
		errs := p.Forward(t.Context(), "out", []*Event{{Channel: from, Type: "enter", Msg: bad}, {Channel: from, Type: "enter", Msg: good}})
		if len(errs) != 2 || !refused(errs[0]) || errs[1] != nil {
			t.Errorf("Forward from %q: %v", from, errs)
		}
	}
	if err := p.Publish(t.Context(), "out", Event{Type: "enter", Data: json.RawMessage(`{"size":1}`)}, Event{Msg: good}); err != nil {
		t.Error(err)
	}
	if len(w.msgs) != 5 {
		t.Errorf("%d messages were sent, want 5", len(w.msgs))
	}
}

// A reload brings a new schema to the subscription and the publisher that are there.
func TestReloadOfASchema(t *testing.T) {
	f := &fakes{}
	w := &wire{}
	cfg := func(schema Schema) Config {
		c := one(accepting)
		c.Channels[0].Schemas = map[string]Schema{"enter": schema}
		c.Handlers[0].Revision = "1"
		return c
	}
	r := start(t, cfg(asks("size")), Options{Subscriber: f.open, Publisher: func(Channel) (message.Publisher, error) { return w, nil }})
	send := func() {
		t.Helper()
		f.carriers[0].await(t, f.carriers[0].send(t, `{"type":"enter","size":1}`))
	}
	send()
	if c := mustReload(t, r, cfg(asks("size"))); !c.Channels.Empty() {
		t.Errorf("the same schema: %+v", c)
	}
	if c := mustReload(t, r, cfg(asks("price"))); !slices.Equal(c.Channels.Changed, []string{"in"}) || !c.Routes.Empty() {
		t.Errorf("another schema: %+v", c)
	}
	send()
	if err := r.publisher.Publish(t.Context(), "in", Event{Msg: json.RawMessage(`{"type":"enter","size":1}`)}); !IsPermanent(err) {
		t.Errorf("published by the old schema: %v", err)
	}
	again := asks("price")
	again.Refs = map[string][]byte{"common.json": []byte("{}")}
	if c := mustReload(t, r, cfg(again)); !slices.Equal(c.Channels.Changed, []string{"in"}) {
		t.Errorf("another file that it refers to: %+v", c)
	}
	if s := r.Stats(); s.Channels["in"].Rejected[CauseSchema] != 1 || s.Routes[0].Handled != 1 || len(f.carriers) != 1 {
		t.Errorf("stats %+v, %d subscribers", s, len(f.carriers))
	}
	again.Text = nil
	mustReload(t, r, cfg(again))
	if c := mustReload(t, r, cfg(again)); !slices.Equal(c.Channels.Changed, []string{"in"}) {
		t.Errorf("a schema without a text: %+v", c)
	}
}

func TestNewRefusesSchemas(t *testing.T) {
	cfg := one(accepting)
	cfg.Channels[0].Types = []string{"exit"}
	for typ, want := range map[string]string{
		"enter": `channel "in": type "enter" has a schema and is not one of its types`,
		"exit":  `channel "in": the schema of type "exit" has no Check`,
	} {
		cfg.Channels[0].Schemas = map[string]Schema{typ: {}}
		if typ == "enter" {
			cfg.Channels[0].Schemas[typ] = asks("size")
		}
		_, err := New(cfg, Options{Subscriber: (&fakes{}).open})
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
