package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// watchedMost is what being seen may cost.
const watchedMost = 1.05

// watched compares Signalbox that measures for its metrics, and one whose live page
// somebody looks at, with one that nobody can see: by the processor's time that a message
// costs the router, since what is compared differs by less than one drain from the next.
func watched(b *bench) (all []result, err error) {
	for _, of := range []struct {
		transport string
		n         int
	}{{"pubsub", queueful}, {"stream", 100_000}} {
		l := &load{n: of.n}
		unseen, measured, seen := signalboxOn(l, of.transport, "look"), signalboxOn(l, of.transport, "look"), signalboxOn(l, of.transport, "look")
		measured.name, measured.runs, measured.http = "Signalbox, [http]", "Signalbox", true
		seen.name, seen.runs, seen.http, seen.page = "Signalbox, page open", "Signalbox", true, true
		costs := map[string][]float64{}
		for round := range b.rounds {
			for i := range 3 {
				c := []*contender{unseen, measured, seen}[(i+round)%3] // nobody is always the first
				cost, err := b.cost(c, 4*b.drains)
				if err != nil {
					return nil, err
				}
				costs[c.name] = append(costs[c.name], cost)
			}
		}
		name := of.transport + " drain, processor time of a message to that without [http]: "
		all = append(all,
			atMost(watchedMost, name+"with it, nobody looking", times, ratios(costs[measured.name], costs[unseen.name])),
			atMost(watchedMost, name+"with a page open", times, ratios(costs[seen.name], costs[unseen.name])),
			reported(of.transport+" drain, processor time of a message without [http]", "µs", costs[unseen.name]))
	}
	return all, nil
}

// cost is the processor's time of a message, in µs, in so many drains after one that does not
// count.
func (b *bench) cost(c *contender, drains int) (float64, error) {
	p, err := b.start(c)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	var before time.Duration
	for i := range drains + 1 {
		if i == 1 {
			before = p.used()
		}
		if _, err := p.drain(); err != nil {
			return 0, err
		}
	}
	return (p.used() - before).Seconds() * 1e6 / float64(drains*c.load.n), nil
}

// used is the processor's time that the process took so far: fields 14 and 15 of proc(5), in
// hundredths of a second.
func (p *process) used() time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, after, _ := strings.Cut(string(text), ") ") // the name of the program may hold spaces
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// freeAddress is one on loopback that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// look reads what the live page is told until the contender ends.
func (p *process) look() error {
	r, err := http.NewRequestWithContext(p.b.ctx, http.MethodGet, "http://"+p.address+"/api/live", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	for begin := time.Now(); errors.Is(err, syscall.ECONNREFUSED) && time.Since(begin) < patience; answer, err = http.DefaultClient.Do(r) {
		time.Sleep(10 * time.Millisecond) // events may be carried before HTTP is served
	}
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: the live page: %s", p.name, answer.Status)
	}
	go func() {
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}()
	return nil
}
