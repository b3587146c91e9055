package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
)

// watchedMost is what being seen may cost.
const watchedMost = 1.05

// watched compares Signalbox that measures for its metrics, and one whose live page
// somebody looks at, with one that nobody can see. The streams are long, so that a page is
// told several times meanwhile.
func watched(b *bench) (all []result, err error) {
	for _, of := range []struct {
		transport string
		n         int
		times     int
	}{{"pubsub", queueful, 6}, {"stream", 300_000, 1}} {
		l := &load{n: of.n}
		unseen, measured, seen := signalboxOn(l, of.transport, "look"), signalboxOn(l, of.transport, "look"), signalboxOn(l, of.transport, "look")
		measured.name, measured.runs, measured.http = "Signalbox, [http]", "Signalbox", true
		seen.name, seen.runs, seen.http, seen.page = "Signalbox, page open", "Signalbox", true, true
		more := *b // what is compared differs by less than one drain from the next
		more.drains *= of.times
		rates, err := more.rates(unseen, measured, seen)
		if err != nil {
			return nil, err
		}
		name := of.transport + " drain, cost of a message to that without [http]: "
		all = append(all,
			atMost(watchedMost, name+"with it, nobody looking", times, ratios(rates[unseen.name], rates[measured.name])),
			atMost(watchedMost, name+"with a page open", times, ratios(rates[unseen.name], rates[seen.name])))
	}
	return all, nil
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
