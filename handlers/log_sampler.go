package handlers

import (
	"hash/maphash"
	"sync"
	"time"

	"signalbox/router"
)

// maxSeries bounds a sampler's memory: keys come from payloads.
const maxSeries = 1024

// sampler lets one event of a series pass per interval and counts the others. A series
// is the events of one channel, type and key. Those for which there is no room share
// one series.
type sampler struct {
	every time.Duration
	seed  maphash.Seed

	mu     sync.Mutex
	series map[uint64]*series // by the hash of channel, type and key, whose texts may be long
	rest   series             // of all that series has no room for
	swept  time.Time
}

type series struct {
	last    time.Time // when an event passed; zero: never
	skipped int       // since then
}

func newSampler(every time.Duration) *sampler {
	return &sampler{every: every, seed: maphash.MakeSeed(), series: map[uint64]*series{}}
}

// admit reports whether an event passes, and how many of its series did not since the
// last one that did. A nil sampler lets every event pass.
func (s *sampler) admit(event *router.Event) (skipped int, pass bool) {
	if s == nil {
		return 0, true
	}
	key := maphash.Comparable(s.seed, [...]string{event.Channel, event.Type, event.Key})
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	of := s.find(key, now)
	if !s.over(of, now) {
		of.skipped++
		return 0, false
	}
	skipped = of.skipped
	*of = series{last: now}
	return skipped, true
}

// over reports whether a new interval of a series may begin.
func (s *sampler) over(of *series, now time.Time) bool {
	return of.last.IsZero() || now.Sub(of.last) >= s.every
}

func (s *sampler) find(key uint64, now time.Time) *series {
	if of := s.series[key]; of != nil {
		return of
	}
	if len(s.series) >= maxSeries {
		s.sweep(now)
	}
	if len(s.series) >= maxSeries {
		return &s.rest
	}
	of := &series{}
	s.series[key] = of
	return of
}

// sweep forgets the series whose interval is over. It does so once per interval at
// most, or a flood of new keys would have it look at all series for each event.
func (s *sampler) sweep(now time.Time) {
	if now.Sub(s.swept) < s.every {
		return
	}
	s.swept = now
	for key, of := range s.series {
		if s.over(of, now) {
			s.rest.skipped += of.skipped // so that no event is missing in the counts
			delete(s.series, key)
		}
	}
}
