package ops

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// askFor bounds what a scrape asks of Redis. Prometheus itself waits for 10 s.
const askFor = 2 * time.Second

// newMetrics is what Prometheus scrapes. Nothing is counted for it: each scrape reads what
// the program counts anyway, so that one that does not happen costs nothing.
func newMetrics(p Program) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		newCollector(p),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	// What cannot be told doesn't take the rest with it; promhttp counts that.
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, Registry: registry}), nil
}

// collector reads a program for one scrape after the other, or several at a time.
type collector struct {
	program Program
	streams *poll
	all     meters

	router  routerMeters
	losses  lossMeters
	sources sourceMeters
	redis   redisMeters
	service serviceMeters
}

func newCollector(p Program) *collector {
	c := &collector{program: p, streams: newPoll(p.Streams)}
	c.router = newRouterMeters(&c.all)
	c.losses = newLossMeters(&c.all)
	c.sources = newSourceMeters(&c.all)
	c.redis = newRedisMeters(&c.all)
	c.service = newServiceMeters(&c.all)
	return c
}

// Describe tells what there may be.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range c.all {
		to <- m.desc
	}
}

// Collect tells what there is.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), askFor)
	defer cancel()

	s := sheet{}
	reasons := c.program.Ready(ctx) // first, or slow streams would leave it no time
	running, stats := c.program.Running(), c.program.Stats()
	c.router.read(s, running.Config, stats)
	c.losses.read(s, running.Config, stats, c.program.Losses())
	c.sources.read(s, c.program.Sources())
	c.redis.readLink(s, c.program.Link())
	c.redis.readStreams(ctx, s, c.streams)
	c.service.read(s, c.program, running, reasons)
	s.send(to)
}
