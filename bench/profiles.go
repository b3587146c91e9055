package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// profiles writes where Signalbox spends its time, and what it allocates, in some
// drains of each sort.
func (b *bench) profiles(dir string) error {
	drains := 100
	if b.quick {
		drains = 20
	}
	for name, c := range map[string]*contender{
		"pubsub":   signalboxOn(&load{n: queueful}, "pubsub", "look"),
		"stream":   signalboxOn(&load{n: queueful}, "stream", "look"),
		"channels": onChannels(1000),
		"routes":   routesOfTypes(10_000),
	} {
		if !b.only.MatchString(name) {
			continue
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(to, 0o755); err != nil { //nolint:gosec // for everybody to read
			return err
		}
		full, err := filepath.Abs(to)
		if err != nil {
			return err
		}
		if err := b.profileOf(c, drains, full); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("go tool pprof -top %s\n", strings.Join([]string{filepath.Join(to, "cpu.pprof"), filepath.Join(to, "allocs.pprof")}, "\ngo tool pprof -top -sample_index=alloc_space "))
	}
	return nil
}

// profileOf profiles drains of one contender, the first one excepted.
func (b *bench) profileOf(c *contender, drains int, dir string) error {
	p, err := b.start(c, profileEnv+"="+dir)
	if err != nil {
		return err
	}
	defer p.stop()
	for n := range drains {
		if _, err := p.drain(); err != nil {
			return err
		}
		if p.stream {
			b.server.client.XTrimMaxLen(b.ctx, p.channel, 0)
		}
		if n == 0 {
			_ = p.cmd.Process.Signal(syscall.SIGUSR1)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	for range p.lines { // until it has ended
	}
	time.Sleep(time.Second) // it writes the profiles
	return nil
}
