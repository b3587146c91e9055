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
	// Octave o ends at 2^(o+firstOctave) s. What is at most 2^(firstOctave-1) s (60 ns)
	// counts as zero, and what is longer than the last (12 days) falls into the last bucket.
	firstOctave = -23
	octaves     = 44
)

// Distribution is how many durations were how long. Bucket i holds those that are longer
// than 2^((i-1)/8) seconds and at most 2^(i/8) seconds: the buckets of Prometheus' native
// histograms of schema 3.
type Distribution struct {
	Count   uint64
	Sum     time.Duration
	Zero    uint64         // of Count: at most ZeroDuration, or negative
	Buckets map[int]uint64 // of Count; only those that are not empty
}

// ZeroDuration is the longest that a Distribution counts as zero, in seconds.
const ZeroDuration = 1.0 / (1 << (1 - firstOctave))

// distribution counts durations. It takes room only for the octaves that occur.
type distribution struct {
	sum    atomic.Int64
	zero   atomic.Uint64
	octave [octaves]atomic.Pointer[octave]
}

type octave [perOctave]atomic.Uint64

// of is the counter that a duration belongs to.
func (d *distribution) of(took time.Duration) *atomic.Uint64 {
	fraction, exponent := math.Frexp(took.Seconds()) // 0.5 <= fraction < 1
	o, sub := exponent-firstOctave, bucketOf(fraction)
	if sub < 0 { // exactly a power of two: the end of the octave below
		o, sub = o-1, perOctave-1
	}
	switch {
	case took <= 0 || o < 0:
		return &d.zero
	case o >= octaves:
		o, sub = octaves-1, perOctave-1
	}
	counts := d.octave[o].Load()
	if counts == nil {
		d.octave[o].CompareAndSwap(nil, new(octave))
		counts = d.octave[o].Load()
	}
	return &counts[sub]
}

// stretch counts durations for one goroutine, and tells a distribution only when one comes
// that belongs elsewhere, or at the end: most are like the one before, and an addition that
// others may see costs as much as finding out where it belongs.
type stretch struct {
	to    *distribution
	count *atomic.Uint64
	n     uint64
	sum   time.Duration
}

func (s *stretch) add(to *distribution, took time.Duration) {
	if count := to.of(took); count != s.count {
		s.end()
		s.to, s.count = to, count
	}
	s.n++
	s.sum += max(0, took)
}

// end tells what was counted since the last time.
func (s *stretch) end() {
	if s.n > 0 {
		s.count.Add(s.n)
		s.to.sum.Add(int64(s.sum))
	}
	s.n, s.sum = 0, 0
}

// bucketOf is the bucket of its octave that a fraction falls into: of those that end at
// 2^(-7/8), 2^(-6/8), … 1 the first that is not less. It is -1 for 0.5, the end of the
// octave below.
func bucketOf(fraction float64) int {
	const half, one, two, three, four, five, six, seven = 0.5,
		0.54525386633262882960, 0.59460355750136053335, 0.64841977732550483296, 0.70710678118654752440,
		0.77110541270397041179, 0.84089641525371454303, 0.91700404320467123174
	if fraction <= four {
		switch {
		case fraction <= half:
			return -1
		case fraction <= one:
			return 0
		case fraction <= two:
			return 1
		case fraction <= three:
			return 2
		}
		return 3
	}
	switch {
	case fraction <= five:
		return 4
	case fraction <= six:
		return 5
	case fraction <= seven:
		return 6
	}
	return 7
}

// snapshot is what was counted so far. What is counted meanwhile may be in it or not, but
// Count is always that of the buckets.
func (d *distribution) snapshot() *Distribution {
	s := &Distribution{Sum: time.Duration(d.sum.Load()), Zero: d.zero.Load(), Buckets: map[int]uint64{}}
	s.Count = s.Zero
	for o := range d.octave {
		counts := d.octave[o].Load()
		if counts == nil {
			continue
		}
		for sub := range counts {
			if n := counts[sub].Load(); n > 0 {
				s.Buckets[(o+firstOctave-1)*perOctave+sub+1] = n
				s.Count += n
			}
		}
	}
	return s
}
