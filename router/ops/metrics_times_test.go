package ops

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"signalbox/internal/promtest"
	"signalbox/router"
)

// measured is the distribution of some durations.
func measured(durations ...time.Duration) *router.Distribution {
	d := &router.Distribution{Count: uint64(len(durations)), Buckets: map[int]uint64{}}
	for _, took := range durations {
		d.Sum += took
		if took.Seconds() <= router.ZeroDuration {
			d.Zero++
			continue
		}
		d.Buckets[int(math.Ceil(math.Log2(took.Seconds())*perOctave))]++
	}
	return d
}

// native is what the native buckets of a histogram hold, by their number.
func native(h *dto.Histogram) map[int]uint64 {
	buckets := map[int]uint64{}
	at, n, deltas := 0, int64(0), h.GetPositiveDelta()
	for _, span := range h.GetPositiveSpan() {
		at += int(span.GetOffset())
		for range span.GetLength() {
			n += deltas[0]
			deltas = deltas[1:]
			if n > 0 {
				buckets[at] = uint64(n)
			}
			at++
		}
	}
	return buckets
}

// FuzzTimes holds what Prometheus demands of a histogram, whatever was counted.
func FuzzTimes(f *testing.F) {
	f.Add([]byte{}, uint64(0))
	f.Add([]byte{0, 0, 9, 1, 0, 7, 0x80, 3}, uint64(3))
	f.Add([]byte{0xff, 0xf0, 1, 0xff, 0xf1, 2, 0xff, 0xf4, 3, 0, 160, 9}, uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, zero uint64) {
		d := &router.Distribution{Zero: zero % 1e9, Buckets: map[int]uint64{}, Sum: time.Second}
		for ; len(data) >= 3; data = data[3:] {
			d.Buckets[int(int16(binary.BigEndian.Uint16(data)))] += uint64(data[2])
		}
		all := d.Zero
		for _, n := range d.Buckets {
			all += n
		}
		h := toHistogram(d)
		if h.GetSampleCount() != all || h.GetSampleSum() != 1 || h.GetZeroCount() != d.Zero {
			t.Errorf("count %d, sum %v, zero %d; want %d, 1, %d", h.GetSampleCount(), h.GetSampleSum(), h.GetZeroCount(), all, d.Zero)
		}
		found := native(h)
		for i, n := range d.Buckets {
			if found[i] != n {
				t.Errorf("native bucket %d has %d, want %d", i, found[i], n)
			}
		}
		for _, bucket := range h.GetBucket() {
			want := d.Zero
			for i, n := range d.Buckets {
				if math.Exp2(float64(i)/perOctave) <= bucket.GetUpperBound() {
					want += n
				}
			}
			if bucket.GetCumulativeCount() != want {
				t.Errorf("up to %v s there are %d, want %d", bucket.GetUpperBound(), bucket.GetCumulativeCount(), want)
			}
		}
	})
}

// TestTimesAgree observes the same durations with client_golang's own histogram.
func TestTimesAgree(t *testing.T) {
	t.Parallel()
	var bounds []float64
	for bound := firstBound; bound <= lastBound; bound += boundStep {
		bounds = append(bounds, math.Exp2(float64(bound)))
	}
	theirs := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "x", Help: "x", Buckets: bounds, NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: router.ZeroDuration,
	})
	random := rand.New(rand.NewPCG(1, 2))
	durations := []time.Duration{0, 1, time.Second, 4 * time.Second, 250 * time.Millisecond, time.Hour}
	for range 10_000 {
		durations = append(durations, time.Duration(math.Exp2(random.Float64()*48)))
	}
	for _, took := range durations {
		theirs.Observe(took.Seconds())
	}
	var metric dto.Metric
	if err := theirs.Write(&metric); err != nil {
		t.Fatal(err)
	}
	want, got := metric.GetHistogram(), toHistogram(measured(durations...))
	if got.GetSchema() != want.GetSchema() || got.GetZeroThreshold() != want.GetZeroThreshold() || got.GetZeroCount() != want.GetZeroCount() {
		t.Errorf("schema, zero threshold, zero count: %d, %v, %d; want %d, %v, %d", got.GetSchema(), got.GetZeroThreshold(), got.GetZeroCount(),
			want.GetSchema(), want.GetZeroThreshold(), want.GetZeroCount())
	}
	if math.Abs(got.GetSampleSum()/want.GetSampleSum()-1) > 1e-9 || got.GetSampleCount() != want.GetSampleCount() {
		t.Errorf("%d samples, sum %v; want %d, %v", got.GetSampleCount(), got.GetSampleSum(), want.GetSampleCount(), want.GetSampleSum())
	}
	wanted := native(want)
	for i, n := range native(got) {
		if wanted[i] != n {
			t.Errorf("native bucket %d has %d, want %d", i, n, wanted[i])
		}
	}
	if !slices.EqualFunc(got.GetBucket(), want.GetBucket(), func(a, b *dto.Bucket) bool {
		return a.GetUpperBound() == b.GetUpperBound() && a.GetCumulativeCount() == b.GetCumulativeCount()
	}) {
		t.Errorf("classic buckets %v, want %v", got.GetBucket(), want.GetBucket())
	}
}

// TestProtobuf gets the same counts as text, and the native buckets beside.
func TestProtobuf(t *testing.T) {
	t.Parallel()
	h := handler(t, filled())
	asText, asProto := scrape(t, h, plain), scrape(t, h, protobuf)
	if len(asText) != len(asProto) {
		t.Errorf("%d metrics as protobuf, %d as text", len(asProto), len(asText))
	}
	for name, family := range asText {
		for i, metric := range family.GetMetric() {
			if !strings.HasPrefix(name, "signalbox_") || name == "signalbox_stream_oldest_pending_seconds" {
				continue // these go on
			}
			other := asProto[name].GetMetric()[i]
			if metric.GetCounter().GetValue() != other.GetCounter().GetValue() || metric.GetGauge().GetValue() != other.GetGauge().GetValue() ||
				metric.GetHistogram().GetSampleCount() != other.GetHistogram().GetSampleCount() {
				t.Errorf("%s: %v as protobuf, %v as text", name, other, metric)
			}
		}
	}
	for _, metric := range asProto["signalbox_handler_duration_seconds"].GetMetric() {
		if h := metric.GetHistogram(); h.GetSampleCount() == 5 {
			if got := native(h); h.GetSchema() != 3 || h.GetZeroCount() != 1 || got[-80] != 2 || got[0] != 1 || got[9] != 1 {
				t.Errorf("the native histogram is %v", h)
			}
			return
		}
	}
	t.Error("there is no histogram of 5 calls")
}

// TestPrometheus lets a real one scrape, and asks it.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(handler(t, filled()))
	t.Cleanup(server.Close)
	prometheus := promtest.Start(t, strings.TrimPrefix(server.URL, "http://"))
	for query, want := range map[string]string{
		`up`: "1",
		`signalbox_events_received_total{channel="price_data",type="tick"}`:                        "9",
		`signalbox_dead_letters_total{channel="trade_commands",route=""}`:                          "1",
		`histogram_count(signalbox_handler_duration_seconds{route="save"})`:                        "5",
		`histogram_quantile(0.5, signalbox_event_age_seconds{channel="price_data"}) < bool 0.0011`: "1",
		`histogram_fraction(0, 1, signalbox_handler_duration_seconds{route="save"})`:               "0.8",
	} {
		if got := prometheus.Query(query); len(got) != 1 || got[0].Value != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
}

// BenchmarkObserve is what an event would cost twice if the router counted durations with
// client_golang: see docs/decisions/0015.
func BenchmarkObserve(b *testing.B) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "took_seconds", Buckets: prometheus.ExponentialBuckets(1e-4, 4, 11), NativeHistogramBucketFactor: 1.1,
	})
	for i := 0; b.Loop(); i++ {
		h.Observe(float64(i&0xff) * 1e-7)
	}
}
