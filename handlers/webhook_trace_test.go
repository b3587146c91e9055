package handlers

import (
	"slices"
	"testing"

	"signalbox/router"
)

// A request is part of its event's trace, whatever its body is; one for an event without a
// trace is part of none.
func TestWebhookTrace(t *testing.T) {
	t.Parallel()
	const parent, state = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "congo=t61rcWkgMzE, rojo=1"
	peer := newReceiver(t, nil)
	for name, test := range map[string]struct {
		options WebhookOptions
		event   router.Event
		want    []string // traceparent and tracestate of the header
		body    string
	}{
		"CloudEvent": {
			WebhookOptions{},
			router.Event{TraceParent: parent, TraceState: state},
			[]string{parent, state},
			`{"specversion":"1.0","id":"7","source":"s","type":"a","traceparent":"` + parent + `","tracestate":"` + state + `","data":1}`,
		},
		"a message that is copied": {
			WebhookOptions{},
			router.Event{TraceParent: parent, Msg: []byte(`{"type":"a","traceparent":"` + parent + `","x":true,"data":1}`)},
			[]string{parent, ""},
			`{"specversion":"1.0","id":"7","source":"s","type":"a","traceparent":"` + parent + `","x":true,"data":1}`,
		},
		"body": {
			WebhookOptions{Body: map[string]any{"t": "{type}"}, Headers: map[string]string{"X-Token": "t"}},
			router.Event{TraceParent: parent},
			[]string{parent, ""},
			`{"t":"a"}`,
		},
		"none":             {WebhookOptions{}, router.Event{}, []string{"", ""}, `{"specversion":"1.0","id":"7","source":"s","type":"a","data":1}`},
		"none, of a state": {WebhookOptions{}, router.Event{TraceState: state}, []string{"", ""}, `{"specversion":"1.0","id":"7","source":"s","type":"a","data":1}`},
		"none that is valid": {
			WebhookOptions{},
			router.Event{TraceParent: "00-x\r\nEvil: yes", TraceState: state},
			[]string{"", ""},
			`{"specversion":"1.0","id":"7","source":"s","type":"a","data":1}`,
		},
	} {
		test.options.URL = peer.URL
		w := testWebhook(t, test.options)
		test.event.ID, test.event.Type, test.event.Source, test.event.Data = "7", "a", "s", []byte(`1`)
		// Twice: nothing stays of one request for the next.
		for _, event := range []router.Event{test.event, {ID: "8", Type: "b"}} {
			if err := w.Handle(t.Context(), &event); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		all := peer.requests()
		got, next := all[len(all)-2], all[len(all)-1]
		if header := []string{got.header.Get("traceparent"), got.header.Get("tracestate")}; !slices.Equal(header, test.want) || got.body != test.body {
			t.Errorf("%s: %q %s\nwant %q %s", name, header, got.body, test.want, test.body)
		}
		if next.header.Get("traceparent") != "" || next.header.Get("tracestate") != "" {
			t.Errorf("%s: the next request has %q", name, next.header)
		}
	}
}
