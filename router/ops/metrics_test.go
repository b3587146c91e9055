package ops

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"signalbox/internal/promtest"
	"signalbox/router"
)

var update = flag.Bool("update", false, "write the golden files anew")

// filled is a program in which everything has happened.
func filled() Program {
	took := &router.Distribution{Count: 5, Sum: 3200 * time.Millisecond, Zero: 1, Buckets: map[int]uint64{-80: 2, 0: 1, 9: 1}}
	return Program{
		Service: "desk", Version: "1.2.3", Started: time.Unix(1_750_000_000, 0),
		Running: func() Running {
			return Running{
				Config: router.Config{
					Service: "desk",
					Channels: []router.Channel{
						{Name: "price_data", Transport: router.PubSub, Queue: 1000, Fields: router.Fields{Seq: "n"}, StaleAfter: router.StaleAfter{PerKey: time.Minute}},
						{Name: "trade_commands", Transport: router.Stream, StaleAfter: router.StaleAfter{Any: time.Hour}},
						{Name: "only_published", Transport: router.Stream},
					},
					Routes: []router.Route{
						{Channel: "price_data", Handler: "save"},
						{Channel: "price_data", Name: "chart", Handler: "save", Isolated: true, Queue: 50, Policy: router.Policy{Timeout: -1}},
						{Channel: "trade_commands", Handler: "trade", Policy: router.Policy{Timeout: 5 * time.Second}},
					},
				},
				Hash: "0123456789abcdef", Since: time.Unix(1_750_000_100, 500_000_000), Reloads: 3, Refused: 1, Refusal: "no",
			}
		},
		Stats: func() router.Stats {
			return router.Stats{
				Channels: map[string]router.ChannelStats{
					"price_data": {
						Received: 12, Types: map[string]uint64{"tick": 9, router.OtherTypes: 3}, Unmatched: 2,
						Rejected: map[router.Cause]uint64{router.CauseNaN: 1}, Missing: 4,
						Age:       &router.Distribution{Count: 1, Sum: time.Millisecond, Buckets: map[int]uint64{-79: 1}},
						LastEvent: time.UnixMilli(1_750_000_200_250), StaleKeys: 3,
					},
					"trade_commands": {Stale: time.Unix(1_750_000_000, 0), Received: 3, Types: map[string]uint64{"enter": 3, "exit": 0, router.OtherTypes: 0}, CrashLoop: 1, Dead: 1},
				},
				Routes: []router.RouteStats{
					{Channel: "price_data", Route: "save", Handler: "save", Handled: 8, Filtered: 1, Took: took},
					{Channel: "price_data", Route: "chart", Handler: "save", Handled: 7, Unfinished: 2, Took: &router.Distribution{}},
					{
						Channel: "trade_commands", Route: "trade", Handler: "trade", Handled: 1, Failed: 2, Retried: 5, Skipped: 1,
						Withdrawn: 1, Duplicates: 1, Unmarked: 1, Abandoned: 1, Dead: 1,
					},
					// Two that are gone had the same name.
					{Channel: "price_data", Route: "old", Handler: "log", Handled: 1, Took: took},
					{Channel: "price_data", Route: "old", Handler: "log", Handled: 2, Took: took},
				},
				Subscriptions: []router.SubscriptionStats{
					{Channel: "price_data", Queued: 10, InHand: 20},
					{Channel: "price_data", Route: "chart", Queued: 1, InHand: 2},
					{Channel: "trade_commands", InHand: 3},
				},
			}
		},
		Losses: func() []Loss {
			return []Loss{
				{Channel: "price_data", Reason: "overflow", Events: 7, Times: 2},
				{Channel: "price_data", Reason: "gap", Times: 2, Blind: 1500 * time.Millisecond},
				{Channel: "trade_commands", Reason: "trimmed", Events: 6, Times: 1},
			}
		},
		Sources: func() []Source {
			return []Source{
				{
					Name: "feed", Kind: "websocket", Channel: "price_data", State: SourceConnected, Holds: true, Epoch: 1_795_737_859, Expected: true,
					LastData: time.Unix(1_750_000_200, 250_000_000), LastSeen: time.Unix(1_750_000_201, 0),
					Sessions: 2, Attempts: 5, Received: 40, Published: 30, Dropped: 4, Duplicates: 3, Missing: 2, Other: 1,
					Rejected: map[router.Cause]uint64{router.CauseNotJSON: 2, "unpublishable": 1}, Queued: 6,
				},
				{Name: "spare", Kind: "simulated", Channel: "price_data", State: SourceStandingBy},
			}
		},
		Link: func() Link { return Link{Away: true, Reconnects: 4, Unverified: true} },
		Streams: func(context.Context) ([]Stream, error) {
			return []Stream{
				{Channel: "trade_commands", Group: "desk", Length: 100, Lag: 40, Pending: 3, Oldest: time.Now().Add(-90 * time.Second), Dead: 2},
				{Channel: "trade_commands", Group: "desk.slow", Length: 100, Lag: -1, Dead: 2},
			}, errors.New("the group desk.slow: no permission")
		},
		Ready: func(context.Context) []Reason { return []Reason{{What: "redis", Text: "away"}} },
	}
}

// text is what a collector tells, as text.
func text(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&out, family); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// scrape asks a handler for its metrics, and returns them by name.
func scrape(t *testing.T, from http.Handler, accept string) map[string]*dto.MetricFamily {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", accept)
	answer := httptest.NewRecorder()
	from.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	families := map[string]*dto.MetricFamily{}
	for decoder := expfmt.NewDecoder(answer.Body, expfmt.ResponseFormat(answer.Header())); ; {
		family := &dto.MetricFamily{}
		if err := decoder.Decode(family); errors.Is(err, io.EOF) {
			return families
		} else if err != nil {
			t.Fatal(err)
		}
		families[family.GetName()] = family
	}
}

const (
	plain    = "text/plain"
	protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// value is that of the series with these labels: name, value, name, value …
func value(t *testing.T, family *dto.MetricFamily, labels ...string) float64 {
	t.Helper()
	for _, metric := range family.GetMetric() {
		var have []string
		for _, label := range metric.GetLabel() {
			have = append(have, label.GetName(), label.GetValue())
		}
		if slices.Equal(have, labels) {
			return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	t.Errorf("%s has no series %q", family.GetName(), labels)
	return 0
}

func handler(t *testing.T, p Program) http.Handler {
	t.Helper()
	h, err := newMetrics(p)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestMetrics shows all of them, in a moment that does not move.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := strings.ReplaceAll(text(t, newCollector(filled())), runtime.Version(), "GOVERSION")
		golden(t, "testdata/metrics.golden", got)
	})
}

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; run with -update, and look at the difference", file)
	}
}

func TestEveryMetricHasSeries(t *testing.T) {
	t.Parallel()
	c := newCollector(filled())
	families := scrape(t, handler(t, filled()), plain)
	for _, m := range c.all {
		if families[m.name] == nil {
			t.Errorf("%s is not told by a program in which everything has happened", m.name)
		}
	}
}

func TestPromtoolAccepts(t *testing.T) {
	t.Parallel()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	answer := httptest.NewRecorder()
	handler(t, filled()).ServeHTTP(answer, request)
	if out, err := promtest.Tool(t, answer.Body, "check", "metrics"); err != nil || out != "" {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// TestFromTheStart holds what alerts rely on: increase() of a series that begins with its
// first event would be 0.
func TestFromTheStart(t *testing.T) {
	t.Parallel()
	p := filled()
	p.Losses = func() []Loss { return nil }
	families := scrape(t, handler(t, p), plain)
	for _, tt := range []struct {
		metric string
		labels []string
	}{
		{"signalbox_events_dropped_total", []string{"channel", "price_data", "reason", "overflow"}},
		{"signalbox_events_dropped_total", []string{"channel", "price_data", "reason", "shutdown"}},
		{"signalbox_pubsub_gaps_total", []string{"channel", "price_data"}},
		{"signalbox_pubsub_gap_seconds_total", []string{"channel", "price_data"}},
		{"signalbox_stream_trimmed_undelivered_total", []string{"channel", "trade_commands"}},
		{"signalbox_events_rejected_total", []string{"cause", "schema", "channel", "trade_commands"}},
		{"signalbox_events_received_total", []string{"channel", "trade_commands", "type", "other"}},
		{"signalbox_dead_letters_total", []string{"channel", "price_data", "route", "save"}},
		{"signalbox_events_handled_total", []string{"channel", "price_data", "handler", "save", "result", "failed", "route", "save"}},
		{"signalbox_source_dropped_total", []string{"channel", "price_data", "source", "spare"}},
		{"signalbox_source_rejected_total", []string{"cause", "unpublishable", "channel", "price_data", "source", "spare"}},
		{"signalbox_source_state", []string{"channel", "price_data", "source", "spare", "state", "given_up"}},
	} {
		if got := value(t, families[tt.metric], tt.labels...); got != 0 {
			t.Errorf("%s%q is %v, want 0", tt.metric, tt.labels, got)
		}
	}
	for _, metric := range families["signalbox_pubsub_gaps_total"].GetMetric() {
		if channel := metric.GetLabel()[0].GetValue(); channel != "price_data" {
			t.Errorf("%s is no Pub/Sub channel that is read, but has gaps", channel)
		}
	}
}

func TestCausesAreAll(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(gotoken.NewFileSet(), "../malformed.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []router.Cause
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, is := n.(*ast.ValueSpec); is && strings.HasPrefix(spec.Names[0].Name, "Cause") {
			text, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			want = append(want, router.Cause(text))
		}
		return true
	})
	if got := causes(); !slices.Equal(got, want) {
		t.Errorf("causes are %q, malformed.go has %q", got, want)
	}
}

func TestLabelsThatAreNoText(t *testing.T) {
	t.Parallel()
	p := filled()
	p.Stats = func() router.Stats {
		return router.Stats{
			Channels: map[string]router.ChannelStats{"a\xff": {Unmatched: 1}, "a\xfe": {Unmatched: 2}, `"\` + "\n": {Unmatched: 4}},
			Routes:   []router.RouteStats{{Channel: "a\xff", Route: "\xc3", Handler: "h"}},
		}
	}
	for _, accept := range []string{plain, protobuf} {
		families := scrape(t, handler(t, p), accept)
		if got := value(t, families["signalbox_events_unmatched_total"], "channel", "a\uFFFD"); got != 3 {
			t.Errorf("%s: two channels that look the same have %v, want 3", accept, got)
		}
		if got := value(t, families["signalbox_events_unmatched_total"], "channel", `"\`+"\n"); got != 4 {
			t.Errorf("%s: a channel with special characters has %v, want 4", accept, got)
		}
		if families["promhttp_metric_handler_errors_total"] == nil {
			t.Error("errors of scrapes are not counted")
		}
	}
}

// TestPanicEndsNoRouter relies on the registry, which collects on goroutines of its own and
// recovers there.
func TestPanicEndsNoRouter(t *testing.T) {
	t.Parallel()
	p := filled()
	p.Link = func() Link { panic("a mistake") }
	families := scrape(t, handler(t, p), plain)
	if families["go_goroutines"] == nil {
		t.Error("what can be told is not told")
	}
	families = scrape(t, handler(t, p), plain)
	if families["signalbox_ready"] != nil {
		t.Error("half of what there is looks like all of it")
	}
}

func TestScrapesAtTheSameTime(t *testing.T) {
	t.Parallel()
	h := handler(t, filled())
	var scrapes sync.WaitGroup
	for i := range 8 {
		accept := []string{plain, protobuf}[i%2]
		scrapes.Go(func() {
			families := scrape(t, h, accept)
			if got := value(t, families["signalbox_events_unmatched_total"], "channel", "price_data"); got != 2 {
				t.Errorf("%v unmatched, want 2", got)
			}
		})
	}
	scrapes.Wait()
}

// BenchmarkScrape is a scrape of a thousand routes on a hundred channels.
func BenchmarkScrape(b *testing.B) {
	p := filled()
	stats := router.Stats{Channels: map[string]router.ChannelStats{}}
	buckets := map[int]uint64{}
	for i := range 60 {
		buckets[i-100] = uint64(i)
	}
	took := &router.Distribution{Buckets: buckets}
	for i := range 1000 {
		channel := "channel" + strconv.Itoa(i/10)
		stats.Channels[channel] = router.ChannelStats{Types: map[string]uint64{"a": 1, "b": 2}, Age: took}
		stats.Routes = append(stats.Routes, router.RouteStats{Channel: channel, Route: strconv.Itoa(i), Handler: "h", Took: took})
	}
	p.Stats = func() router.Stats { return stats }
	h, err := newMetrics(p)
	if err != nil {
		b.Fatal(err)
	}
	request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil)
	for b.Loop() {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, request)
		b.ReportMetric(float64(bytes.Count(answer.Body.Bytes(), []byte("\n"))), "lines")
		b.ReportMetric(float64(answer.Body.Len()), "bytes")
	}
}
