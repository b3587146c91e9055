package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// weigh measures what the shipped program needs.
func weigh(b *bench) ([]result, error) {
	var started, idle, anonymous, busy []float64
	cold, err := b.shipped("config/routes.toml") // the first start reads the program from the disk
	if err != nil {
		return nil, err
	}
	cold.stop()
	for range b.rounds {
		p, err := b.shipped("config/routes.toml")
		if err != nil {
			return nil, err
		}
		started = append(started, float64(p.took.Microseconds())/1000)
		time.Sleep(2 * time.Second) // until it is idle
		resident, private, err := memory(p.cmd.Process.Pid)
		p.stop()
		if err != nil {
			return nil, err
		}
		idle, anonymous = append(idle, resident), append(anonymous, private)
		most, err := b.loaded()
		if err != nil {
			return nil, err
		}
		busy = append(busy, most)
	}
	file, err := os.Stat(b.binary)
	if err != nil {
		return nil, err
	}
	return []result{
		atMost(100, "start to ready, shipped routes", "ms", started),
		atMost(32, "idle resident memory, shipped routes", "MB", idle),
		atMost(15, "idle anonymous memory, shipped routes", "MB", anonymous),
		atMost(96, "resident memory at 100,000 msg/s, most", "MB", busy),
		atMost(32, "binary, stripped", "MB", []float64{float64(file.Size()) / 1e6}),
	}, nil
}

// shipped starts the program as it is shipped.
func (b *bench) shipped(config string) (*process, error) {
	p := &process{contender: &contender{name: "router"}, b: b, channel: "bench.shipped", lines: make(chan string, 64)}
	p.cmd = exec.Command(b.binary, "run", "-c", config) //nolint:noctx // its owner ends it
	p.cmd.Env = append(os.Environ(), "REDIS_URL="+b.server.url())
	return p, p.run()
}

// loaded is the most memory that the program has at 100,000 messages a second.
func (b *bench) loaded() (most float64, err error) {
	const rate, every = 100_000, 10 * time.Millisecond
	lasting := 3 * time.Second
	if b.quick {
		lasting = time.Second
	}
	const channel = "bench.loaded"
	dir := filepath.Join(b.dir, "loaded")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	if err := one(channel, "pubsub", "drop").write(dir); err != nil {
		return 0, err
	}
	p, err := b.shipped(dir)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	l := &load{n: rate / int(time.Second/every)}
	l.message(0)
	begin := time.Now()
	for sent := 0; time.Since(begin) < lasting; sent++ {
		if err := l.publish(b.ctx, b.server.client, channel); err != nil {
			return 0, err
		}
		resident, _, err := memory(p.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		most = max(most, resident)
		time.Sleep(time.Until(begin.Add(time.Duration(sent) * every)))
		if behind := time.Since(begin) - time.Duration(sent)*every; behind > time.Second {
			return 0, fmt.Errorf("this machine cannot send %d msg/s", rate)
		}
	}
	return most, nil
}

// allocations runs BenchmarkDispatch: from the queue to the return of a handler that does
// nothing.
func allocations(b *bench) ([]result, error) {
	test := exec.CommandContext(b.ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkDispatch$/^Handler$/^routes=1$", "-benchtime", "200000x", "./router")
	out, err := test.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	found := regexp.MustCompile(`(\d+) allocs/op`).FindSubmatch(out)
	if found == nil {
		return nil, errors.New("BenchmarkDispatch says nothing of allocations")
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		return nil, err
	}
	return []result{atMost(8, "allocations per event, queue to the handler's return", "", []float64{n})}, nil
}
