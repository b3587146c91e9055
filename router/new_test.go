package router

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
)

// closing is a handler that counts how often it is closed.
type closing struct {
	HandlerFunc
	closed int
	err    error
}

func (c *closing) Close() error {
	c.closed++
	return c.err
}

func TestNewTellsAllThatIsWrongAtOnce(t *testing.T) {
	accept := func(Env) (Handler, error) { return accepting, nil }
	made := 0
	_, err := New(Config{
		Channels: []Channel{{Name: "a"}, {Name: ""}, {Name: "a"}},
		Handlers: []HandlerSpec{
			{Name: "h", New: func(Env) (Handler, error) { made++; return accepting, nil }},
			{Name: "h", New: accept},
			{Name: "", New: accept},
			{Name: "new"},
		},
		Routes: []Route{
			{Channel: "b", Types: []string{"*"}, Handler: "h"},
			{Channel: "a", Types: []string{"*"}, Handler: "g"},
			{Channel: "a", Types: []string{"*"}, Handler: "h"},
			{Channel: "a", Types: []string{"*"}, Handler: "h"},
			{Name: "no-types", Channel: "a", Handler: "h"},
			{Name: "bad-type", Channel: "a", Handler: "h", Types: []string{"a*b"}},
		},
	}, Options{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`channel "": `, `channel "a": `,
		`handler "h": `, `handler "": `, `handler "new": `,
		`route "h": channel "b" is not declared`, `route "g": handler "g" is not declared`,
		`route "h": channel "a" has two routes of this name`,
		`route "no-types": there are no types`, `route "bad-type": type "a*b": `,
		`Options.Subscriber`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s", want)
		}
	}
	if made != 0 {
		t.Error("a handler was made although the configuration is wrong")
	}
	t.Logf("%v", err)

	_, err = New(Config{}, Options{})
	if err == nil || !strings.Contains(err.Error(), "there are no routes") {
		t.Errorf("New of nothing: %v", err)
	}
}

func TestNewClosesWhatItMadeWhenItFails(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name       string
		second     func(Env) (Handler, error)
		subscriber func(*carrier) func(Channel) (message.Subscriber, error)
		want       string
	}{
		{"handler", func(Env) (Handler, error) { return nil, broken }, nil, `handler "second": broken`},
		{"nil handler", func(Env) (Handler, error) { return nil, nil }, nil, `handler "second"`},
		{"subscriber", func(Env) (Handler, error) { return accepting, nil }, func(c *carrier) func(Channel) (message.Subscriber, error) {
			return func(ch Channel) (message.Subscriber, error) {
				if ch.Name == "b" {
					return nil, broken
				}
				return c, nil
			}
		}, `channel "b": broken`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first, c := &closing{HandlerFunc: accepting}, newCarrier()
			opened := false
			subscriber := func(Channel) (message.Subscriber, error) { opened = true; return c, nil }
			if tc.subscriber != nil {
				opened, subscriber = true, tc.subscriber(c)
			}
			_, err := New(Config{
				Channels: []Channel{{Name: "a"}, {Name: "b"}},
				Handlers: []HandlerSpec{
					{Name: "first", New: func(Env) (Handler, error) { return first, nil }},
					{Name: "second", New: tc.second},
				},
				Routes: []Route{
					{Channel: "a", Types: []string{"*"}, Handler: "first"},
					{Channel: "b", Types: []string{"*"}, Handler: "second"},
				},
			}, Options{Subscriber: subscriber})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %s", err, tc.want)
			}
			if first.closed != 1 {
				t.Errorf("the first handler was closed %d times", first.closed)
			}
			select {
			case <-c.closed:
			default:
				if opened {
					t.Error("the subscriber that was made is not closed")
				}
			}
		})
	}
}

// A handler that no route uses is not made; the others learn who they are.
func TestNewMakesTheHandlersThatRoutesUse(t *testing.T) {
	var env Env
	cfg := one(accepting)
	cfg.Service = "momentum-1"
	cfg.Handlers = []HandlerSpec{
		{Name: "unused", New: func(Env) (Handler, error) { t.Error("made"); return accepting, nil }},
		{Name: "h", New: func(e Env) (Handler, error) { env = e; return accepting, nil }},
	}
	start(t, cfg, Options{})
	if env.Service != "momentum-1" || env.Handler != "h" || env.Log == nil || env.Publisher == nil {
		t.Errorf("env %+v", env)
	}
	if err := env.Publisher.Publish(context.Background(), "in", Event{Type: "a"}); !IsPermanent(err) {
		t.Errorf("Publish without Options.Publisher: %v, want a permanent error", err)
	}
}

// New fills in defaults in a copy: the caller's configuration stays as it is.
func TestNewLeavesTheConfigAlone(t *testing.T) {
	cfg := one(accepting)
	start(t, cfg, Options{})
	if cfg.Service != "" || cfg.Channels[0].Topic != "" || cfg.Routes[0].Name != "" {
		t.Errorf("changed: %+v", cfg)
	}
}
