package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"signalbox/router"
	"signalbox/router/internal/batch"
)

// sourceStatus is a source as `status -o json` prints it.
type sourceStatus struct {
	Source  string        `json:"source"`
	Kind    string        `json:"kind"`
	Channel string        `json:"channel"`
	Lease   bool          `json:"lease"`            // else every router connects by itself
	Holder  *holderStatus `json:"holder,omitempty"` // nobody, or not known
	known   bool          // Redis told who holds it
	remarks
}

// holderStatus is who holds a source.
type holderStatus struct {
	Holder  string    `json:"holder"` // the process
	Service string    `json:"service"`
	Epoch   int64     `json:"epoch"`
	Since   time.Time `json:"since"`
	Heard   time.Time `json:"heard"` // when it was heard of last
	Silent  float64   `json:"silent_seconds"`
	Away    bool      `json:"away"` // for longer than others wait
}

// sourcesIn looks who holds the declared sources. What cannot be read hides nothing of the others.
func (s *survey) sourcesIn(ctx context.Context) ([]*sourceStatus, error) {
	var sources []*sourceStatus
	var unread []error
	for _, spec := range s.loaded.Config.Sources {
		status := &sourceStatus{Source: spec.Name, Kind: spec.Kind, Channel: spec.Channel, Lease: spec.Lease, remarks: noRemarks()}
		sources = append(sources, status)
		if !spec.Lease {
			continue
		}
		holders, err := s.redis.Holders(ctx, spec.Name)
		if err != nil {
			unread = append(unread, err)
			continue
		}
		status.known = true
		s.judgeHolder(spec, status, holders[0])
	}
	return sources, errors.Join(unread...)
}

// judgeHolder says that nobody holds a source, or that its holder seems to be dead.
func (s *survey) judgeHolder(spec router.SourceSpec, status *sourceStatus, h batch.Holder) {
	if h.Name == "" {
		remedy := startIt + "; of one that runs, router health says why it holds nothing"
		if h.Epoch == 0 {
			remedy = startIt + "; one that has just started takes it after its lease_for, since nothing is known of a holder"
		}
		status.problem(remedy, "nobody holds it: nothing is published to %q", spec.Channel)
		return
	}
	silent := max(0, s.now.Sub(h.Renewed))
	status.Holder = &holderStatus{
		Holder: h.Name, Service: h.Service, Epoch: h.Epoch, Since: h.Since, Heard: h.Renewed,
		Silent: silent.Seconds(), Away: silent > h.For,
	}
	if status.Holder.Away {
		status.problem("a live router of the configuration takes it over within some seconds; if this stays, none runs: router run",
			"its holder, %s of service %q, has not been heard of for %s", h.Name, h.Service, shownAge(h.Renewed, s.now))
	}
}

func (s *survey) printSources(out io.Writer, sources []*sourceStatus) error {
	if len(sources) == 0 {
		return nil
	}
	table := newTable(out)
	fmt.Fprintln(table, "\nsource\tkind\tto\theld by\tservice\tepoch\tsince\theard of")
	for _, one := range sources {
		by, service, epoch, since, heard := "nobody", "-", "-", "-", "-"
		switch h := one.Holder; {
		case !one.Lease:
			by = "every router connects by itself"
		case h != nil:
			by, service, epoch = printable(h.Holder), printable(h.Service), fmt.Sprint(h.Epoch)
			since, heard = shownAge(h.Since, s.now)+" ago", shownAge(h.Heard, s.now)+" ago"
		case !one.known:
			by = "not known"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(one.Source), printable(one.Kind), printable(one.Channel), by, service, epoch, since, heard)
	}
	return table.Flush()
}
