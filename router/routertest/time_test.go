package routertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

var noon = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

var errNo = errors.New("no")

func routes(all ...router.Route) router.Config {
	for i := range all {
		all[i].Channel = "in"
		if all[i].Types == nil {
			all[i].Types = []string{"*"}
		}
	}
	return router.Config{Channels: []router.Channel{{Name: "in", Transport: router.Stream}}, Routes: all}
}

func results(box *Box) string {
	var all []string
	for _, o := range box.Outcomes() {
		all = append(all, fmt.Sprintf("%s %s %s %d", o.Route, o.Event.ID, o.Result, o.Attempt))
	}
	return strings.Join(all, "\n")
}

// While one route pauses between its attempts, the other must find the event as old as
// it is. The pauses add up to hours, and take no time.
func TestPausesOfOneRouteAgeNothingOnAnother(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	retry := router.Retry{Attempts: 8, Backoff: time.Minute, MaxBackoff: time.Hour}
	box := StartWith(t, routes(
		router.Route{Handler: "slow", Policy: router.Policy{Retry: retry}},
		router.Route{Handler: "fresh", Policy: router.Policy{MaxAge: time.Millisecond}},
		router.Route{Handler: "alone", Policy: router.Policy{MaxAge: time.Millisecond, Retry: retry}, Isolated: true},
	), Options{Now: noon, Answers: map[string][]error{"slow": {errNo}, "alone": {errNo, nil}}})
	var sent []string
	for i := range 10 {
		sent = append(sent, fmt.Sprintf(`{"type":"a","id":"%d","time":"2026-01-05T12:00:00Z"}`, i))
	}
	box.Post("in", sent...)
	if !box.Wait() {
		t.Error("something waits for ever")
	}
	stats := box.Stats().Routes
	if got := stats[0]; got.Failed != 10 || got.Dead != 10 || got.Retried != 70 {
		t.Errorf("slow: %+v", got)
	}
	if got := stats[1]; got.Handled != 10 {
		t.Errorf("fresh: %+v", got)
	}
	if got := stats[2]; got.Skipped != 10 || got.Retried != 1 { // the others wait behind the first
		t.Errorf("alone: %+v", got)
	}
	// 1, 2, 4, 8, 16, 32 and 60 minutes for each, one after the other.
	if want := noon.Add(10 * 123 * time.Minute); !box.Now().Equal(want) {
		t.Errorf("it is %v, want %v", box.Now(), want)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %v of real time", took)
	}
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	box := StartWith(t, routes(router.Route{Handler: "bot", Policy: router.Policy{
		Retry: router.Retry{Attempts: 3, Backoff: 10 * time.Second}, Dedupe: router.DedupePolicy{Window: time.Hour},
	}}), Options{Now: noon, Answers: map[string][]error{"bot": {errNo, errNo, nil}}})
	message := `{"type":"a","id":"x"}`
	box.Post("in", message)
	box.Advance(9 * time.Second)
	if got, want := results(box), "bot x retried 1"; got != want {
		t.Errorf("after 9 s:\n%s\nwant\n%s", got, want)
	}
	box.Advance(time.Second) // what is due at the end of it happens
	if got, want := results(box), "bot x retried 1\nbot x retried 2"; got != want {
		t.Errorf("after 10 s:\n%s\nwant\n%s", got, want)
	}
	box.Wait()
	if want := noon.Add(30 * time.Second); !box.Now().Equal(want) {
		t.Errorf("handled at %v, want %v", box.Now(), want)
	}
	box.Send("in", message)
	box.Advance(time.Hour - time.Second)
	box.Send("in", message)
	box.Advance(time.Second)
	box.Send("in", message)
	want := "bot x retried 1\nbot x retried 2\nbot x handled 3\nbot x duplicate 0\nbot x duplicate 0\nbot x retried 1\nbot x retried 2\nbot x handled 3"
	if got := results(box); got != want {
		t.Errorf("in the end:\n%s\nwant\n%s", got, want)
	}
}

// A lease is held while its holder pauses for hours; the second event waits for it.
func TestJumpsEndNoLease(t *testing.T) {
	t.Parallel()
	box := StartWith(t, routes(router.Route{Handler: "bot", Policy: router.Policy{
		Workers: 2, Retry: router.Retry{Attempts: 2, Backoff: time.Hour, MaxBackoff: time.Hour}, Dedupe: router.DedupePolicy{Window: time.Hour},
	}}), Options{Now: noon, Answers: map[string][]error{"bot": {errNo, nil}}})
	box.Post("in", `{"type":"a","id":"x"}`, `{"type":"a","id":"x"}`)
	box.Wait()
	if got := box.Stats().Routes[0]; got.Handled != 1 || got.Duplicates != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAnswersAreARoutesOwn(t *testing.T) {
	t.Parallel()
	policy := router.Policy{Retry: router.Retry{Attempts: 3}}
	box := StartWith(t, routes(
		router.Route{Name: "one", Handler: "bot", Policy: policy}, router.Route{Name: "two", Handler: "bot", Policy: policy},
	), Options{Now: noon, Answers: map[string][]error{"bot": {errNo, Panic("again"), nil}}})
	box.Send("in", `{"type":"a"}`, `{"type":"b"}`)
	for _, r := range box.Stats().Routes {
		if r.Handled != 2 || r.Retried != 4 {
			t.Errorf("%+v", r)
		}
	}
}

func TestATargetThatStaysAway(t *testing.T) {
	t.Parallel()
	box := StartWith(t, routes(router.Route{Handler: "bot"}), Options{
		Now: noon, Answers: map[string][]error{"bot": {router.Unavailable(errNo, time.Hour)}},
	})
	box.Post("in", `{"type":"a"}`)
	if box.Wait() {
		t.Error("nothing waits")
	}
	if got := box.Stats().Routes[0]; got.Handled+got.Failed != 0 || got.Retried != 25 { // at once, and each hour of a day
		t.Errorf("%+v", got)
	}
}

// Handlers that publish to their own channel neither hang nor go on for ever.
func TestCircle(t *testing.T) {
	t.Parallel()
	again := func(env router.Env) (router.Handler, error) {
		return router.HandlerFunc(func(ctx context.Context, event *router.Event) error {
			return errors.Join(env.Publisher.Forward(ctx, "in", []*router.Event{event})...)
		}), nil
	}
	cfg := routes(router.Route{Handler: "again"})
	cfg.Handlers = []router.HandlerSpec{{Name: "again", New: again}}
	box := StartWith(t, cfg, Options{Now: noon, MaxPublished: 50})
	box.Send("in", `{"type":"a"}`)
	if n := len(box.Published("in")); n != 50 || !box.Overrun() {
		t.Errorf("published %d, overrun %t", n, box.Overrun())
	}
	if n := len(box.Published("in.dead")); n != 1 {
		t.Errorf("%d dead letters", n)
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	box := StartWith(t, router.Config{
		Channels: []router.Channel{
			{Name: "all", Transport: router.PubSub, Topic: "sensors:*", Pattern: true, Fields: router.Fields{KeyFromName: true}},
			{Name: "oven", Transport: router.PubSub, Topic: "sensors:oven"},
			{Name: "stream", Transport: router.Stream, Topic: "sensors:oven"},
		},
		Routes: []router.Route{
			{Channel: "all", Types: []string{"*"}, Handler: "any"},
			{Channel: "oven", Types: []string{"*"}, Handler: "oven"},
			{Channel: "stream", Types: []string{"*"}, Handler: "stream"},
		},
	}, Options{})
	box.PostAs("all", "sensors:oven", `{"type":"a"}`)
	box.PostAs("all", "sensors:door", `{"type":"a"}`)
	box.Post("oven", `{"type":"a"}`)
	box.Wait()
	if every, oven, stream := box.Handled("any"), box.Handled("oven"), box.Handled("stream"); len(every) != 3 || every[1].Key != "sensors:door" || len(oven) != 2 || len(stream) != 0 {
		t.Errorf("pattern %v, name %v, stream %v", every, oven, stream)
	}
}

func TestAdvanceNeedsFakeTime(t *testing.T) {
	t.Parallel()
	box := Start(t, routes(router.Route{Handler: "bot"}))
	defer func() {
		if recover() == nil {
			t.Error("real time was advanced")
		}
	}()
	box.Advance(time.Second)
}

// A timeout passes on the clock of the box: fake, or real.
func TestTimeout(t *testing.T) {
	t.Parallel()
	answers := map[string][]error{"bot": {ErrTimeout, nil, ErrTimeout}}
	policy := router.Policy{Timeout: time.Minute, MaxAge: 61 * time.Second, Retry: router.Retry{Attempts: 2, Backoff: time.Second}}
	box := StartWith(t, routes(router.Route{Handler: "bot", Policy: policy}), Options{Now: noon, Answers: answers})
	box.Post("in", `{"type":"a","id":"1"}`, `{"type":"a","id":"2"}`, `{"type":"a","id":"3","time":"2026-01-05T13:00:00Z"}`)
	box.Wait()
	// The second began when the first was through, and failed at its age.
	want := "bot 1 retried 1\nbot 1 handled 2\nbot 2 retried 1\nbot 2 skipped 1\nbot 3 retried 1\nbot 3 handled 2"
	if got := results(box); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	policy = router.Policy{Timeout: 20 * time.Millisecond}
	answers = map[string][]error{"bot": {ErrTimeout}}
	for _, now := range []time.Time{{}, noon} {
		box = StartWith(t, routes(router.Route{Handler: "bot", Policy: policy}), Options{Now: now, Answers: answers})
		box.Send("in", `{"type":"a"}`)
		if got := box.Outcomes()[0]; got.Reason != router.ReasonTimeout || !got.Kept {
			t.Errorf("from %v: %+v", now, got)
		}
	}
	box = StartWith(t, routes(router.Route{Handler: "bot", Policy: router.Policy{Timeout: -1}}), Options{Now: noon, Answers: answers})
	box.Send("in", `{"type":"a"}`)
	if got := box.Outcomes()[0]; got.Reason != router.ReasonPermanent || !strings.Contains(got.Err.Error(), "has no timeout") {
		t.Errorf("without a timeout: %+v", got)
	}
}

// In fake time, code that takes its time does not time out.
func TestNoTimeoutInFakeTime(t *testing.T) {
	t.Parallel()
	cfg := routes(router.Route{Handler: "bot", Policy: router.Policy{Timeout: 5 * time.Millisecond}})
	cfg.Handlers = []router.HandlerSpec{{Name: "bot", New: func(router.Env) (router.Handler, error) {
		return router.HandlerFunc(func(ctx context.Context, _ *router.Event) error {
			time.Sleep(50 * time.Millisecond)
			return ctx.Err()
		}), nil
	}}}
	box := StartWith(t, cfg, Options{Now: noon})
	box.Send("in", `{"type":"a"}`)
	if len(box.Handled("bot")) != 1 {
		t.Errorf("%+v", box.Outcomes())
	}
}
