package ops

import (
	"maps"
	"math"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"signalbox/router"
)

const (
	// schema says how wide the buckets of a router.Distribution are: eight to each doubling.
	schema    = 3
	perOctave = 1 << schema
	// The classic buckets end at 2^firstBound s (61 µs), four times that, and so on up to
	// 2^lastBound s (17 minutes). Each end is one of the native buckets' too.
	firstBound, lastBound, boundStep = -14, 10, 2
)

// times is a histogram of durations, with the buckets of both kinds: a Prometheus that
// knows native histograms takes those, any other takes the classic ones.
type times struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	of     *router.Distribution
}

func newTimes(desc *prometheus.Desc, of *router.Distribution, labels []string) (prometheus.Metric, error) {
	// This one checks the labels.
	if _, err := prometheus.NewConstHistogram(desc, 0, 0, nil, labels...); err != nil {
		return nil, err //nolint:wrapcheck // it says which label of which metric
	}
	return times{desc: desc, labels: prometheus.MakeLabelPairs(desc, labels), of: of}, nil
}

// Desc is the metric's description.
func (t times) Desc() *prometheus.Desc { return t.desc }

// Write tells the histogram.
func (t times) Write(to *dto.Metric) error {
	to.Label = t.labels
	to.Histogram = toHistogram(t.of)
	return nil
}

func toHistogram(d *router.Distribution) *dto.Histogram {
	filled := slices.Sorted(maps.Keys(d.Buckets))
	// Not d.Count, which two that were added up lack: Prometheus refuses any but the buckets' sum.
	count := d.Zero
	for _, i := range filled {
		count += d.Buckets[i]
	}
	spans, deltas := toSpans(d, filled)
	return &dto.Histogram{
		SampleCount:   &count,
		SampleSum:     new(d.Sum.Seconds()),
		Bucket:        toClassic(d, filled),
		Schema:        new(int32(schema)),
		ZeroThreshold: new(router.ZeroDuration),
		ZeroCount:     new(d.Zero),
		PositiveSpan:  spans,
		PositiveDelta: deltas,
	}
}

// toSpans writes the native buckets: runs of those that follow each other, and of each by
// how much it differs from the one before.
func toSpans(d *router.Distribution, filled []int) (spans []*dto.BucketSpan, deltas []int64) {
	var before int64
	next := 0
	for _, i := range filled {
		if len(spans) == 0 || i != next {
			spans = append(spans, &dto.BucketSpan{Offset: new(int32(i - next)), Length: new(uint32(0))})
		}
		*spans[len(spans)-1].Length++
		n := int64(d.Buckets[i])
		deltas = append(deltas, n-before)
		before, next = n, i+1
	}
	return spans, deltas
}

// toClassic adds the native buckets up to those that every Prometheus understands. The
// last, up to infinity, is the count and need not be told.
func toClassic(d *router.Distribution, filled []int) []*dto.Bucket {
	var buckets []*dto.Bucket
	below := d.Zero
	for bound := firstBound; bound <= lastBound; bound += boundStep {
		for len(filled) > 0 && filled[0] <= bound*perOctave {
			below += d.Buckets[filled[0]]
			filled = filled[1:]
		}
		buckets = append(buckets, &dto.Bucket{UpperBound: new(math.Exp2(float64(bound))), CumulativeCount: new(below)})
	}
	return buckets
}
