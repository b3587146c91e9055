package handlers_test

import (
	"strings"
	"testing"

	"signalbox/handlers"
	"signalbox/router"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceParent = "00-" + traceID + "-b7ad6b7169203331-01"
	traceState  = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
	// traceMembers are both as members of a message.
	traceMembers = `"traceparent":"` + traceParent + `","tracestate":"` + traceState + `"`
)

func TestPublishKeepsATrace(t *testing.T) {
	box, _ := start(t, oneRoute(spec(handlers.Publish(), handlers.PublishOptions{Channel: "out"})))
	const message = `{"type":"a", ` + traceMembers + `}`
	box.Send("in", message)
	if got := box.Published("out"); len(got) != 1 || got[0] != message {
		t.Errorf("published %q", got)
	}
}

// The answer to a command continues its trace, and a command without one is answered without.
func TestPaperBotContinuesATrace(t *testing.T) {
	cfg := oneRoute(spec(handlers.PaperBot(), handlers.PaperBot().Defaults))
	cfg.Channels = append(cfg.Channels, statusChannel())
	box, _ := start(t, cfg)
	box.Send("in", `{"type":"start","id":"1","data":{"bot":"a"},`+traceMembers+`}`, `{"type":"start","id":"2","data":{"bot":"b"}}`)
	got := box.Published("bot_status")
	if len(got) != 2 || !strings.HasSuffix(got[0], ","+traceMembers+"}") || strings.Contains(got[1], "trace") {
		t.Errorf("published %q", got)
	}
}

func TestLogTellsTheTrace(t *testing.T) {
	for name, test := range map[string]struct{ message, want string }{
		"one":    {`{"type":"a","id":"1",` + traceMembers + `}`, `type=a trace_id=` + traceID},
		"none":   {`{"type":"a","id":"1"}`, `type=a`},
		"no one": {`{"type":"a","id":"1","traceparent":"` + strings.ToUpper(traceParent) + `"}`, `type=a`},
	} {
		t.Run(name, func(t *testing.T) {
			box, out := start(t, oneRoute(spec(handlers.Log(), handlers.LogOptions{Fields: []string{"type"}})))
			box.Send("in", test.message)
			if got := strings.TrimSuffix(out.String(), "\n"); got != "level=INFO msg=event handler=log "+test.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// A line for a program has the trace context only if there is one.
func TestExecLineTrace(t *testing.T) {
	t.Parallel()
	const before, after = `{"id":"7","type":"a","source":"","time":"","key":"","channel":"in","name":"in",`, `"data":1}` + "\n"
	for want, event := range map[string]router.Event{
		before + after: {},
		before + `"traceparent":"` + traceParent + `",` + after: {TraceParent: traceParent},
		before + traceMembers + `,` + after:                     {TraceParent: traceParent, TraceState: traceState},
	} {
		event.ID, event.Type, event.Channel, event.Name, event.Data = "7", "a", "in", "in", []byte(`1`)
		line, err := handlers.EventLine(&event, false)
		if err != nil || string(line) != want {
			t.Errorf("%v: %s\nwant %s", err, line, want)
		}
	}
}
