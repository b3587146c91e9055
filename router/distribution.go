package router

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// perOctave is how many buckets lie between a duration and its double. They grow by
	// 2^(1/8) each, so a duration is known to within nine percent.
	perOctave = 8
	// Octaves are counted from 2^firstOctave s (119 ns); what is shorter counts as zero, and
	// what is longer than the last (12 days) falls into the last bucket.
	firstOctave = -23
	octaves     = 43
)

// Distribution is how many durations were how long. Bucket i holds those that are longer
// than 2^((i-1)/8) seconds and at most 2^(i/8) seconds: the buckets of Prometheus' native
// histograms of schema 3.
type Distribution struct {
	Count   uint64
	Sum     time.Duration
	Zero    uint64         // of Count: shorter than 2^-23 s, or negative
	Buckets map[int]uint64 // of Count; only those that are not empty
}

// distribution counts durations. It takes room only for the octaves that occur.
type distribution struct {
	sum    atomic.Int64
	zero   atomic.Uint64
	octave [octaves]atomic.Pointer[[perOctave]atomic.Uint64]
}

// bounds are the upper ends of an octave's buckets, as fractions of the octave's own.
func bounds() [perOctave]float64 {
	var ends [perOctave]float64
	for i := range ends {
		ends[i] = math.Exp2(float64(i-perOctave) / perOctave)
	}
	return ends
}
