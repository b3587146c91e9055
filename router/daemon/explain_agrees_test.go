package daemon

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"signalbox/router"
	"signalbox/router/routertest"
)

// TestExplainAgrees sends messages through a real router, and has each explained: both
// must say the same of every route.
func TestExplainAgrees(t *testing.T) {
	t.Parallel()
	opts := explainOptions(t, explainedRoutes, io.Discard, io.Discard)
	p, err := openToExplain(opts, ExplainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := p.loaded.Config
	cfg.Channels = slices.DeleteFunc(slices.Clone(cfg.Channels), func(ch router.Channel) bool { return ch.Pattern })
	cfg.Routes = slices.DeleteFunc(slices.Clone(cfg.Routes), func(r router.Route) bool { return r.Channel == "far" })
	for i := range cfg.Routes {
		cfg.Routes[i].Policy.Dedupe = router.DedupePolicy{} // not looked up
	}
	box := routertest.Start(t, cfg)
	messages := 0
	for _, ch := range cfg.Channels {
		e, err := newExplainer(opts, p, ch)
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range someMessages() {
			messages++
			before := len(box.Outcomes())
			box.Send(ch.Name, message)
			var got []string
			for _, o := range box.Outcomes()[before:] {
				if o.Result != router.Retried {
					got = append(got, strings.TrimSpace(o.Route+" "+string(o.Result)))
				}
			}
			all, err := e.message(t.Context(), ExplainOptions{From: strings.NewReader(message)})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, one := range all {
				want = append(want, expected(one)...)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s on %s: the router says %q, explain %q", message, ch.Name, got, want)
			}
		}
	}
	if messages < 200 {
		t.Errorf("only %d messages", messages)
	}
}

// expected are the outcomes that an explanation promises.
func expected(one explained) []string {
	if one.Rejected != "" {
		return []string{string(router.Rejected)}
	}
	var outcomes []string
	for _, r := range one.Routes {
		last := r.Clauses[len(r.Clauses)-1].Clause
		switch {
		case r.Result == resultMatch:
			outcomes = append(outcomes, r.Route+" "+string(router.Handled))
		case r.Result == resultFails:
			outcomes = append(outcomes, r.Route+" "+string(router.Failed))
		case last == "when":
			outcomes = append(outcomes, r.Route+" "+string(router.Filtered))
		case last == "max_age":
			outcomes = append(outcomes, r.Route+" "+string(router.Skipped))
		}
	}
	if strings.Contains(one.Outcome, "unmatched") {
		outcomes = append(outcomes, string(router.Unmatched))
	}
	return outcomes
}

// someMessages are messages of both channels, and of none.
func someMessages() []string {
	messages := []string{"", "{", "[]", `{"list":[{"e":"x","q":"1"},{"e":"y"},{"z":1}]}`, `{"list":[]}`, `{"e":"x","q":{"a":1,"a":2}}`}
	for _, typ := range []string{"a", "b.x", "b.test", "c1", "z", "signalbox.gap"} {
		for _, data := range []string{
			`{"n":2,"tags":["x"]}`, `{"n":2,"tags":["y"],"key":"k"}`, `{"n":2}`, `{"n":1,"tags":["x"]}`, `{"n":"2","tags":["x"]}`,
			`{"tags":"x","n":3}`, `{"n":2,"n":3,"tags":["x"]}`, `null`, `[1]`,
		} {
			for _, rest := range []string{"", `,"time":"2020-01-01T00:00:00Z"`, `,"time":"2090-01-01T00:00:00Z"`} {
				messages = append(messages, fmt.Sprintf(`{"type":%q,"data":%s%s}`, typ, data, rest))
			}
		}
	}
	return messages
}
