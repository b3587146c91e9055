package daemon

import (
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/router"
	"signalbox/router/internal/batch"
)

// TestJudgeGroup is about what is a problem, and what is for others to mind.
func TestJudgeGroup(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	ch := router.Channel{Name: "orders", Topic: "md:orders", Transport: router.Stream, MaxLen: 100}
	lag := func(n int64) *int64 { return &n }
	one := func(state string, pending int64) consumerStatus {
		return consumerStatus{Consumer: "signalbox-x", State: state, Pending: pending}
	}
	old := &pendingStatus{ID: "1-0", Consumer: "c", State: stateAlive, Added: now.Add(-6 * time.Minute)}
	for _, tc := range []struct {
		name           string
		group          groupStatus
		problems, note string // how they begin
	}{
		{"all is well", groupStatus{Own: true, Lag: lag(3), Consumers: []consumerStatus{one(stateAlive, 1)}}, "", ""},
		{"a name that is left", groupStatus{Own: true, Consumers: []consumerStatus{one(stateAlive, 0), one(stateDead, 0)}}, "", ""},
		{"nobody", groupStatus{Own: true, Lag: lag(3), Pending: 1}, `nobody reads group "g"; 4 entries wait for it`, ""},
		{"only the dead", groupStatus{Own: true, Pending: 1, Consumers: []consumerStatus{one(stateDead, 1)}}, `nobody reads group "g"; 1 entry waits for it`, ""},
		{"nobody of another service", groupStatus{Lag: lag(0)}, "", `nobody reads group "g" of another service; 0 entries wait`},
		{"foreign", groupStatus{Own: true, Consumers: []consumerStatus{one(stateForeign, 7)}}, "", ""},
		{"dead beside the living", groupStatus{Own: true, Pending: 2, Consumers: []consumerStatus{one(stateAlive, 0), one(stateDead, 2)}}, `group "g": 2 entries are pending of consumer signalbox-x, which is dead`, ""},
		{"several dead", groupStatus{Own: true, Pending: 2, Consumers: []consumerStatus{one(stateAlive, 0), one(stateDead, 1), one(stateDead, 1)}}, `group "g": 2 entries are pending of consumers that are dead`, ""},
		{"nearly trimmed", groupStatus{Own: true, Lag: lag(80), Consumers: []consumerStatus{one(stateAlive, 0)}}, `group "g": 80 entries wait, and max_len is 100`, ""},
		{"not yet", groupStatus{Own: true, Lag: lag(79), Consumers: []consumerStatus{one(stateAlive, 0)}}, "", ""},
		{"lag not known", groupStatus{Own: true, Pending: 90, Consumers: []consumerStatus{one(stateAlive, 90)}}, `group "g": 90 entries wait`, ""},
		{"nearly trimmed, of another service", groupStatus{Lag: lag(80), Consumers: []consumerStatus{one(stateAlive, 0)}}, "", `group "g": 80 entries wait`},
		{"trimmed", groupStatus{Own: true, Trimmed: 1, Consumers: []consumerStatus{one(stateAlive, 0)}}, "", `group "g": 1 entry was trimmed before anybody read them, so far`},
		{"long in hand", groupStatus{Own: true, Pending: 1, Consumers: []consumerStatus{one(stateAlive, 1)}, Oldest: old}, "", `group "g": entry 1-0 is 6m old and still in hand of c`},
	} {
		tc.group.Group = "g"
		status := &channelStatus{}
		(&survey{now: now}).judgeGroup(ch, status, &tc.group)
		for what, remarks := range map[string][]remark{tc.problems: status.Problems, tc.note: status.Notes} {
			if what == "" && tc.problems == tc.note {
				remarks = slices.Concat(status.Problems, status.Notes)
			}
			if (what == "") != (len(remarks) == 0) || len(remarks) > 1 || what != "" && (!strings.HasPrefix(remarks[0].What, what) || remarks[0].Remedy == "") {
				t.Errorf("%s: problems %q, notes %q", tc.name, status.Problems, status.Notes)
			}
		}
	}
}

func TestJudgeListeners(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	for _, tc := range []struct {
		status          channelStatus
		routed          bool
		problems, notes int
	}{
		{channelStatus{Subscribers: n(1), Patterns: n(0)}, true, 0, 0},
		{channelStatus{Subscribers: n(0), Patterns: n(0)}, true, 1, 0},
		{channelStatus{Subscribers: n(0), Patterns: n(0)}, false, 0, 1},
		{channelStatus{Subscribers: n(0), Patterns: n(2)}, true, 0, 0}, // one of them perhaps listens to it
		{channelStatus{Patterns: n(0)}, true, 1, 0},
		{channelStatus{}, true, 0, 0}, // Redis didn't tell
	} {
		status := tc.status
		judgeListeners(&status, tc.routed)
		if len(status.Problems) != tc.problems || len(status.Notes) != tc.notes {
			t.Errorf("%+v: %q, %q", tc, status.Problems, status.Notes)
		}
	}
}

// TestJudgeHolder is about who holds a source, and how long nothing may be heard of him.
func TestJudgeHolder(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	held := func(silent time.Duration) batch.Holder {
		return batch.Holder{Source: "feed", Name: "signalbox-box1-7-x", Service: "desk", Epoch: 9, Since: now.Add(-time.Hour), Renewed: now.Add(-silent), For: 6 * time.Second}
	}
	for _, tc := range []struct {
		name    string
		holder  batch.Holder
		problem string // how it begins; empty: there is none
	}{
		{"held", held(6 * time.Second), ""},
		{"the clock of redis was set back", held(-time.Minute), ""},
		{"silent", held(8 * time.Second), `its holder, signalbox-box1-7-x of service "desk", has not been heard of for 8s`},
		{"never taken", batch.Holder{Source: "feed"}, `nobody holds it: nothing is published to "prices"`},
		{"given back", batch.Holder{Source: "feed", Service: "desk", Epoch: 9, Renewed: now}, `nobody holds it`},
	} {
		status := &sourceStatus{}
		(&survey{now: now}).judgeHolder(router.SourceSpec{Name: "feed", Channel: "prices"}, status, tc.holder)
		if found := status.Problems; len(found) != min(len(tc.problem), 1) || len(found) > 0 && (!strings.HasPrefix(found[0].What, tc.problem) || found[0].Remedy == "") {
			t.Errorf("%s: problems %q, want %q", tc.name, found, tc.problem)
		}
		if h := status.Holder; h != nil && (h.Silent < 0 || h.Away != (tc.problem != "")) {
			t.Errorf("%s: %+v", tc.name, h)
		}
	}
}
