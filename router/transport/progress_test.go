package transport

import "testing"

func TestMissed(t *testing.T) {
	t.Parallel()
	id := func(n uint64) streamID { return streamID{ms: n} }
	for _, c := range []struct {
		name   string
		stream streamInfo
		group  groupInfo
		want   int64 // negative: not exact
	}{
		{"nothing was ever added", streamInfo{last: "0-0"}, groupInfo{"0-0", 0}, 0},
		{"all is delivered", streamInfo{added: 10, length: 10, first: id(1), last: "10-0"}, groupInfo{"10-0", 10}, 0},
		{"all is delivered, more than is added", streamInfo{added: 10, length: 10, first: id(1), last: "10-0"}, groupInfo{"10-0", 11}, 0},
		{"some are missing before what is left", streamInfo{added: 10, length: 5, first: id(6), last: "10-0"}, groupInfo{"3-0", 3}, 2},
		{"ids are compared as numbers", streamInfo{added: 10, length: 2, first: id(9), last: "10-0"}, groupInfo{"8-0", 8}, 0},
		{"nothing is left", streamInfo{added: 10, last: "10-0"}, groupInfo{"3-0", 3}, 7},
		{"all is delivered, some was missed before", streamInfo{added: 10, length: 2, first: id(9), last: "10-0"}, groupInfo{"10-0", 4}, 6},
		{"in the middle", streamInfo{added: 10, length: 5, first: id(6), last: "10-0"}, groupInfo{"7-0", 5}, unknown},
		{"Redis does not count", streamInfo{added: 10, length: 5, first: id(6), last: "10-0"}, groupInfo{"3-0", unknown}, unknown},
		{"deleted behind it", streamInfo{added: 10, length: 5, first: id(5), last: "10-0", deleted: id(8)}, groupInfo{"3-0", 3}, -2},
		{"deleted before it", streamInfo{added: 10, length: 5, first: id(6), last: "10-0", deleted: id(3)}, groupInfo{"3-0", 3}, 2},
	} {
		got, exact := c.stream.missed(c.group)
		if want := max(c.want, -c.want); c.want != unknown && (got != want || exact != (c.want >= 0)) {
			t.Errorf("%s: %d missed, exactly: %v; want %d", c.name, got, exact, c.want)
		}
		if c.want == unknown && got != unknown {
			t.Errorf("%s: %d missed, want this to be unknown", c.name, got)
		}
	}
}

func TestTrimWatch(t *testing.T) {
	t.Parallel()
	type step struct {
		added, length, waiting int64
		deleted                uint64
		want                   string
	}
	for name, steps := range map[string][]step{
		"trimmed and slow": {
			{100, 100, 100, 0, ""},
			{110, 100, 100, 0, "warn"},
			{120, 100, 100, 0, ""},
			{130, 100, 60, 0, ""},
			{140, 100, 40, 0, "over"},
			{150, 100, 90, 0, "warn"},
		},
		"not trimmed":            {{100, 100, 100, 0, ""}, {200, 200, 200, 0, ""}},
		"trimmed in the past":    {{200, 100, 100, 0, ""}, {250, 150, 150, 0, ""}},
		"trimmed and fast":       {{200, 100, 10, 0, ""}, {250, 100, 79, 0, ""}},
		"deleted when handled":   {{100, 10, 10, 90, ""}, {110, 10, 10, 100, ""}, {120, 10, 10, 110, ""}},
		"empty":                  {{100, 0, 0, 0, ""}, {110, 0, 0, 0, ""}},
		"calm without a warning": {{100, 100, 10, 0, ""}, {110, 100, 10, 0, ""}},
	} {
		var w trimWatch
		for i, s := range steps {
			warn, over := w.look(streamInfo{added: s.added, length: s.length, deleted: streamID{ms: s.deleted}}, s.waiting)
			if warn != (s.want == "warn") || over != (s.want == "over") {
				t.Errorf("%s, step %d: warn %v, over %v, want %q", name, i, warn, over, s.want)
			}
		}
	}
}
