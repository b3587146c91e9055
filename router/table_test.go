package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseTypes(t *testing.T) {
	for _, tc := range []struct {
		patterns string // separated by spaces
		yes, no  string
	}{
		{"tick", "tick", "tic ticks Tick tick.a *"},
		{"order.*", "order. order.new order.new.x", "order orders signalbox.gap"},
		{"ord*", "ord order order.new", "or"},
		{"*", "a * ! signalbox signalboxes", "signalbox. signalbox.gap"},
		{"a b", "a b", "ab c"},
		{"* !heartbeat", "a heartbeat.x", "heartbeat signalbox.gap"},
		{"!heartbeat *", "a", "heartbeat"},
		{"* !order.*", "a order", "order.new"},
		{"order.* !order.new order.new", "order.x", "order.new"},
		{"a !a", "", "a"},
		{"* signalbox.gap", "a signalbox.gap", "signalbox.dead"},
		{"signalbox.*", "signalbox.gap signalbox.", "signalbox a"},
		{"signal*", "signal signalbox signals", "signalbox.gap"},
		{"signalbox*", "signalbox signalboxes", "signalbox.gap"},
		{"signalbox.g*", "signalbox.gap", "signalbox.dead"},
		{"signalbox.* !signalbox.dead", "signalbox.gap", "signalbox.dead"},
		{"signalbox.gap !*", "signalbox.gap", "a"},
		{"tïck", "tïck", "tick"},
	} {
		set, err := ParseTypes(strings.Fields(tc.patterns)...)
		if err != nil {
			t.Errorf("%s: %v", tc.patterns, err)
			continue
		}
		for typ := range strings.FieldsSeq(tc.yes) {
			if !set.Match(typ) {
				t.Errorf("%s doesn't take %s", tc.patterns, typ)
			}
			if by := set.Decides(typ); by == "" || by[0] == '!' || !slices.Contains(strings.Fields(tc.patterns), by) {
				t.Errorf("%s takes %s by %q", tc.patterns, typ, by)
			}
		}
		for typ := range strings.FieldsSeq(tc.no) {
			if set.Match(typ) {
				t.Errorf("%s takes %s", tc.patterns, typ)
			}
			if by := set.Decides(typ); by != "" && (by[0] != '!' || !slices.Contains(strings.Fields(tc.patterns), by)) {
				t.Errorf("%s does not take %s by %q", tc.patterns, typ, by)
			}
		}
	}
}

func TestParseTypesRejects(t *testing.T) {
	for _, tc := range []struct {
		patterns []string
		want     string
	}{
		{[]string{"a", ""}, `type "": is empty`},
		{[]string{"!"}, `type "!": is empty`},
		{[]string{"a*b"}, `type "a*b": "*" may only stand at the end and "!" only at the beginning`},
		{[]string{"**"}, `type "**": "*" may only stand at the end and "!" only at the beginning`},
		{[]string{"!!a"}, `type "!!a": "*" may only stand at the end and "!" only at the beginning`},
		{[]string{"a!"}, `type "a!": "*" may only stand at the end and "!" only at the beginning`},
		{[]string{"!a"}, `types ["!a"] exclude only; add "*" to take all others`},
		{nil, `there are no types; "*" takes all`},
	} {
		if _, err := ParseTypes(tc.patterns...); err == nil || err.Error() != tc.want {
			t.Errorf("%q: %v, want %s", tc.patterns, err, tc.want)
		}
	}
}

// randomTypes makes sets of patterns and types from an alphabet so small that they
// collide in every way.
func randomPatterns(r *rand.Rand) []string {
	words := []string{"", "a", "b", "ab", "a.", "a.b", "a.b.c", "signalbox", "signalbox.", "signalbox.gap", "s", "a\x00", "\x00", "é"}
	var patterns []string
	for range 1 + r.IntN(4) {
		p := words[r.IntN(len(words))]
		if r.IntN(3) == 0 {
			p += words[r.IntN(len(words))]
		}
		if r.IntN(2) == 0 || p == "" {
			p += "*"
		}
		if r.IntN(4) == 0 {
			p = "!" + p
		}
		patterns = append(patterns, p)
	}
	return patterns
}

func compile(t testing.TB, sets [][]string) []compiled {
	t.Helper()
	var routes []compiled
	for _, patterns := range sets {
		set, err := ParseTypes(patterns...)
		if err != nil {
			continue
		}
		routes = append(routes, compiled{&route{Route: Route{Name: fmt.Sprint(len(routes)), Types: patterns}}, set})
	}
	return routes
}

// agree checks that the table and the naive filter have the same answer.
func agree(t *testing.T, routes []compiled, typ string) {
	t.Helper()
	var want []*route
	for _, c := range routes {
		if c.types.Match(typ) {
			want = append(want, c.route)
		}
	}
	if got := newTable(routes, nil, &channelCounters{}).routes(typ); !slices.Equal(got, want) {
		t.Errorf("type %q: the table has %s, the filter %s", typ, names(got), names(want))
	}
}

func names(routes []*route) string {
	var all []string
	for _, r := range routes {
		all = append(all, fmt.Sprintf("%s%q", r.Name, r.Types))
	}
	return strings.Join(all, " ")
}

func TestTableIsTheFilter(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 3000 {
		var sets [][]string
		for range r.IntN(8) {
			sets = append(sets, randomPatterns(r))
		}
		routes := compile(t, sets)
		for range 20 {
			agree(t, routes, strings.TrimPrefix(strings.TrimSuffix(randomPatterns(r)[0], "*"), "!"))
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzTypes(f *testing.F) {
	f.Add("* !a,a.*,a", "a.b")
	f.Add("signalbox.*,*,s*", "signalbox.gap")
	f.Add("a\x00,a*", "ab")
	f.Fuzz(func(t *testing.T, sets, typ string) {
		var split [][]string
		for set := range strings.SplitSeq(sets, ",") {
			split = append(split, strings.Split(set, " "))
		}
		agree(t, compile(t, split), typ)
	})
}

// Ten thousand routes are compiled in no time, in whatever way they name their types.
func TestTableCompilesManyRoutes(t *testing.T) {
	const n = 10_000
	shapes := map[string]func(i int) []string{
		"one type each":  func(i int) []string { return []string{fmt.Sprintf("type.%d", i)} },
		"two types each": func(i int) []string { return []string{fmt.Sprintf("type.%d", i), fmt.Sprintf("type.%d", (i+1)%n)} },
		"a prefix each":  func(i int) []string { return []string{fmt.Sprintf("type.%d.*", i)} },
		"a prefix each but one type": func(i int) []string {
			return []string{fmt.Sprintf("type.%d.*", i), fmt.Sprintf("!type.%d.x", i)}
		},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			sets := make([][]string, n)
			for i := range sets {
				sets[i] = shape(i)
			}
			sets[n-1] = []string{"*"}
			routes := compile(t, sets)
			begin := time.Now()
			table := newTable(routes, nil, &channelCounters{})
			took := time.Since(begin)
			t.Logf("compiled in %v", took)
			if took > 2*time.Second { // generous: the race detector, a busy machine
				t.Errorf("%d routes took %v", n, took)
			}
			for i := 0; i < n; i += 999 {
				for _, typ := range []string{fmt.Sprintf("type.%d", i), fmt.Sprintf("type.%d.x", i), fmt.Sprintf("type.%d.y", i)} {
					var want []*route
					for _, c := range routes {
						if c.types.Match(typ) {
							want = append(want, c.route)
						}
					}
					if got := table.routes(typ); !slices.Equal(got, want) {
						t.Errorf("%s: the table has %s, the filter %s", typ, names(got), names(want))
					}
				}
			}
		})
	}
}
