package router

import (
	"errors"
	"strings"
	"testing"
	"time"
)

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
