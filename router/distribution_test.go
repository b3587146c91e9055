package router

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func count(d *distribution, took time.Duration) {
	var s stretch
	s.add(d, took)
	s.end()
}

// Each duration falls between the ends of its bucket, and the ends themselves into the
// bucket that they close.
func TestDistributionBuckets(t *testing.T) {
	durations := []time.Duration{time.Nanosecond * 60, 100, 119, 120, time.Microsecond, time.Millisecond, time.Second, time.Minute, time.Hour, 12 * 24 * time.Hour}
	for range 10_000 {
		durations = append(durations, time.Duration(math.Exp(rand.Float64()*math.Log(1e15)))+60) //nolint:gosec // any will do
	}
	for power := -24; power <= 20; power++ {
		durations = append(durations, time.Duration(math.Ldexp(1e9, power)))
	}
	for _, took := range durations {
		d := &distribution{}
		count(d, took)
		s := d.snapshot()
		if s.Count != 1 || s.Sum != took {
			t.Fatalf("%v: %+v", took, s)
		}
		if s.Zero == 1 {
			if took.Seconds() > ZeroDuration {
				t.Errorf("%v counts as zero", took)
			}
			continue
		}
		for i := range s.Buckets {
			lower, upper := math.Exp2(float64(i-1)/8), math.Exp2(float64(i)/8)
			const rounding = 1e-12
			if sec := took.Seconds(); sec <= lower*(1-rounding) || sec > upper*(1+rounding) {
				t.Errorf("%v (%v s) is in bucket %d, from %v to %v", took, sec, i, lower, upper)
			}
		}
	}
}

func TestDistributionEnds(t *testing.T) {
	for took, bucket := range map[time.Duration]int{
		-time.Hour: -1 << 31, 0: -1 << 31, 1: -1 << 31, time.Second: 0, 2 * time.Second: 8, time.Second / 2: -8,
		time.Second + 1: 1, 365 * 24 * time.Hour: 160, math.MaxInt64: 160,
	} {
		d := &distribution{}
		count(d, took)
		s := d.snapshot()
		if zero := bucket == -1<<31; zero != (s.Zero == 1) || !zero && s.Buckets[bucket] != 1 {
			t.Errorf("%v: %+v, want bucket %d", took, s, bucket)
		}
		if s.Sum < 0 {
			t.Errorf("%v: the sum is %v", took, s.Sum)
		}
	}
}

func TestDistributionCountsAll(t *testing.T) {
	var d distribution
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			var times stretch
			defer times.end()
			for n := range 10_000 {
				times.add(&d, time.Duration(i*n)*time.Microsecond)
				if n%1000 == 0 {
					d.snapshot()
				}
			}
		})
	}
	all.Wait()
	s := d.snapshot()
	sum := s.Zero
	for _, n := range s.Buckets {
		sum += n
	}
	if s.Count != 80_000 || sum != s.Count {
		t.Errorf("%d counted, %d in buckets; want 80,000", s.Count, sum)
	}
}

func BenchmarkDistribution(b *testing.B) {
	var d distribution
	var times stretch
	for i := 0; b.Loop(); i++ {
		times.add(&d, time.Duration(i&0xff)*100)
	}
}
