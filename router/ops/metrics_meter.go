package ops

import "github.com/prometheus/client_golang/prometheus"

// meter is a metric with the labels that it has.
type meter struct {
	name, help string
	labels     []string
	kind       kind
	desc       *prometheus.Desc
}

// kind is what a meter tells.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram" // native and classic in one
)

// meters are all that there are, in the order of docs/metrics.md.
type meters []*meter

func (all *meters) counter(name, help string, labels ...string) *meter {
	return all.add(counter, name, help, labels)
}

func (all *meters) gauge(name, help string, labels ...string) *meter {
	return all.add(gauge, name, help, labels)
}

func (all *meters) histogram(name, help string, labels ...string) *meter {
	return all.add(histogram, name, help, labels)
}

func (all *meters) add(k kind, name, help string, labels []string) *meter {
	name = "signalbox_" + name
	m := &meter{name: name, help: help, labels: labels, kind: k, desc: prometheus.NewDesc(name, help, labels, nil)}
	*all = append(*all, m)
	return m
}
