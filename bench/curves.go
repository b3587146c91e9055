package main

import (
	"fmt"
	"os"
	"time"
)

// curves draws how the cost grows.
func (b *bench) curves(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // for everybody to read
		return err
	}
	fmt.Println("# " + machine())
	for _, draw := range []func(*bench) (plot, error){byPayload, byRoutes, byChannels, byWorkers, byRouters} {
		p, err := draw(b)
		if err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
		if err := p.write(dir); err != nil {
			return err
		}
		fmt.Printf("\n%s, by %s\n", p.title, p.x)
		for _, s := range p.series {
			fmt.Printf("  %-16s", s.name)
			for _, pt := range s.points {
				fmt.Printf("  %s: %s", short(pt.x), short(pt.y))
			}
			fmt.Println()
		}
	}
	return nil
}

// line measures a contender at each of the places.
func (b *bench) line(name string, places []int, of func(int) *contender) (series, error) {
	s := series{name: name}
	for _, x := range places {
		fmt.Fprintf(os.Stderr, "%s at %d …\n", name, x)
		rates, err := b.rates(of(x))
		if err != nil {
			return s, err
		}
		for _, rounds := range rates {
			s.points = append(s.points, point{float64(x), median(rounds)})
		}
	}
	return s, nil
}

func byPayload(b *bench) (plot, error) {
	p := plot{file: "payload.svg", title: "Pub/Sub drain, messages per second", x: "bytes of a message"}
	for _, name := range []string{"Signalbox", "go-redis loop"} {
		s, err := b.line(name, []int{280, 1 << 10, 4 << 10, 16 << 10, 64 << 10}, func(size int) *contender {
			l := &load{n: min(queueful, queueMB<<20/size), size: size}
			if name == "Signalbox" {
				return signalboxOn(l, "pubsub", "look")
			}
			return &contender{name: name, load: l}
		})
		if err != nil {
			return p, err
		}
		p.series = append(p.series, s)
	}
	return p, nil
}

func byRoutes(b *bench) (plot, error) {
	p := plot{file: "routes.svg", title: "Pub/Sub drain, messages per second", x: "routes of one channel, each for a type of its own"}
	s, err := b.line("Signalbox", []int{1, 10, 100, 1000, 10_000}, routesOfTypes)
	p.series = append(p.series, s)
	return p, err
}

func byChannels(b *bench) (plot, error) {
	p := plot{file: "channels.svg", title: "Pub/Sub drain, messages per second", x: "channels that share the messages"}
	s, err := b.line("Signalbox", []int{1, 10, 100, 1000}, onChannels)
	p.series = append(p.series, s)
	return p, err
}

// byWorkers has a handler that waits for something for a millisecond.
func byWorkers(b *bench) (plot, error) {
	p := plot{file: "workers.svg", title: "Pub/Sub drain, messages per second", x: "workers of a route whose handler waits for 1 ms"}
	s, err := b.line("Signalbox", []int{1, 4, 16, 64, 256}, func(workers int) *contender {
		return &contender{name: "Signalbox", load: &load{n: min(500*workers, 20_000)}, routes: func(channel string) routes {
			r := one(channel, "pubsub", "look", `sleep = "1ms"`)
			r.channels = []string{fmt.Sprintf("[channels.%q]\ntransport = \"pubsub\"\n", channel)} // without a key: in any order
			r.routes = []string{routeTable(channel, "*", "bench", fmt.Sprint("workers = ", workers))}
			return r
		}, blind: true}
	})
	p.series = append(p.series, s)
	return p, err
}

// byRouters has several routers in one group, whose handlers wait for a millisecond.
func byRouters(b *bench) (plot, error) {
	p := plot{file: "routers.svg", title: "Stream drain, messages per second", x: "routers in one group, handlers wait for 1 ms"}
	s := series{name: "Signalbox"}
	for _, n := range []int{1, 2, 4, 8} {
		fmt.Fprintf(os.Stderr, "%d routers …\n", n)
		var rates []float64
		for range b.rounds {
			rate, err := b.together(n)
			if err != nil {
				return p, err
			}
			rates = append(rates, rate)
		}
		s.points = append(s.points, point{float64(n), median(rates)})
	}
	p.series = append(p.series, s)
	return p, nil
}

// together is the rate of n routers of one group.
func (b *bench) together(n int) (float64, error) {
	c := signalboxOn(&load{n: 2000 * n}, "stream", "look", `sleep = "1ms"`)
	first, err := b.start(c)
	if err != nil {
		return 0, err
	}
	defer first.stop()
	for range n - 1 {
		p, err := b.startOn(c, first.channel)
		if err != nil {
			return 0, err
		}
		defer p.kill()
	}
	begin := time.Now()
	if err := c.load.add(b.ctx, b.server.client, first.channel); err != nil {
		return 0, err
	}
	for {
		groups, err := b.server.client.XInfoGroups(b.ctx, first.channel).Result()
		took := time.Since(begin)
		switch {
		case err != nil:
			return 0, err
		case len(groups) == 1 && groups[0].Pending == 0 && groups[0].EntriesRead == int64(c.load.n):
			return float64(c.load.n) / took.Seconds(), nil
		case took > patience:
			return 0, fmt.Errorf("%d routers did not handle %d messages: %+v", n, c.load.n, groups)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
