package ops

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/router"
)

// sheet is what one scrape has found. What has the same labels adds up: routes that are
// gone may have had the same name, and labels that are no UTF-8 may become the same.
type sheet map[place]*series

// place is where a series stands; at are its labels, joined.
type place struct {
	of *meter
	at string
}

type series struct {
	labels []string
	value  float64
	times  *router.Distribution // instead of value, of a histogram
}

// at is the series with these labels, and a new one the first time.
func (s sheet) at(m *meter, labels []string) (found *series, isNew bool) {
	for i, label := range labels {
		labels[i] = strings.ToValidUTF8(label, "\uFFFD") // Prometheus refuses all else
	}
	key := place{m, strings.Join(labels, "\xff")}
	found = s[key]
	if found == nil {
		found, isNew = &series{labels: labels}, true
		s[key] = found
	}
	return found, isNew
}

func (s sheet) add(m *meter, value float64, labels ...string) {
	to, _ := s.at(m, labels)
	to.value += value
}

// most is add for what does not add up: the largest counts.
func (s sheet) most(m *meter, value float64, labels ...string) {
	if to, isNew := s.at(m, labels); isNew || to.value < value {
		to.value = value
	}
}

// times tells a histogram, unless nothing is measured.
func (s sheet) times(m *meter, d *router.Distribution, labels ...string) {
	if d == nil {
		return
	}
	to, isNew := s.at(m, labels)
	if isNew {
		to.times = d
		return
	}
	sum := router.Distribution{Sum: to.times.Sum + d.Sum, Zero: to.times.Zero + d.Zero, Buckets: map[int]uint64{}}
	for _, buckets := range []map[int]uint64{to.times.Buckets, d.Buckets} {
		for i, n := range buckets {
			sum.Buckets[i] += n
		}
	}
	to.times = &sum
}

// send hands over all that was found.
func (s sheet) send(to chan<- prometheus.Metric) {
	for key, found := range s {
		to <- found.metric(key.of)
	}
}

func (s *series) metric(of *meter) prometheus.Metric {
	var (
		metric prometheus.Metric
		err    error
	)
	switch of.kind {
	case histogram:
		metric, err = newTimes(of.desc, s.times, s.labels)
	case counter:
		metric, err = prometheus.NewConstMetric(of.desc, prometheus.CounterValue, s.value, s.labels...)
	case gauge:
		metric, err = prometheus.NewConstMetric(of.desc, prometheus.GaugeValue, s.value, s.labels...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(of.desc, err)
	}
	return metric
}

// truth is 1 for true.
func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
