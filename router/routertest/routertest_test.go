package routertest

import (
	"context"
	"encoding/json"
	"testing"

	"go.uber.org/goleak"

	"signalbox/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPublishedMessagesGoOn(t *testing.T) {
	forward := func(env router.Env) (router.Handler, error) {
		return router.HandlerFunc(func(ctx context.Context, event *router.Event) error {
			return env.Publisher.Publish(ctx, "out", router.Event{Type: "seen", Data: json.RawMessage(`"` + event.Type + `"`)})
		}), nil
	}
	box := Start(t, router.Config{
		Channels: []router.Channel{{Name: "in"}, {Name: "out", Topic: "elsewhere"}},
		Handlers: []router.HandlerSpec{{Name: "forward", New: forward}},
		Routes: []router.Route{
			{Channel: "in", Types: []string{"*"}, Handler: "forward"},
			{Channel: "out", Types: []string{"seen"}, Handler: "last"},
		},
	})
	box.Send("in", `{"type":"a"}`, `{"type":"b"}`)
	if got := box.Published("out"); len(got) != 2 {
		t.Errorf("published %q", got)
	}
	got := box.Handled("last")
	if len(got) != 2 || string(got[0].Data) != `"a"` || string(got[1].Data) != `"b"` {
		t.Errorf("handled %+v", got)
	}
	if stats := box.Stats(); stats.Channels["out"].Received != 2 {
		t.Errorf("stats %+v", stats)
	}
}

func TestCloseTwice(t *testing.T) {
	box, err := New(router.Config{
		Channels: []router.Channel{{Name: "in"}},
		Routes:   []router.Route{{Channel: "in", Types: []string{"*"}, Handler: "any"}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSendToNowhere(t *testing.T) {
	box := Start(t, router.Config{
		Channels: []router.Channel{{Name: "in"}},
		Routes:   []router.Route{{Channel: "in", Types: []string{"*"}, Handler: "any"}},
	})
	defer func() {
		if recover() == nil {
			t.Error("sending to a channel that is not declared went unnoticed")
		}
	}()
	box.Send("inn", `{"type":"a"}`)
}

func TestWrongConfig(t *testing.T) {
	if _, err := New(router.Config{}, nil); err == nil {
		t.Error("a configuration without routes was accepted")
	}
}
