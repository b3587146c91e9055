package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"signalbox/router"
	"signalbox/router/routertest"
	"signalbox/router/routesfile"
)

// mostPublished is how many messages handlers may publish in a test.
const mostPublished = 1000

// play is a test that is being run.
type play struct {
	test   routesfile.Test
	config router.Config
	box    *routertest.Box
	sent   []sent
	ended  bool // everything was through in the end
}

// sent is a message that the test sends.
type sent struct {
	channel router.Channel
	name    string // in Redis
	text    string
}

func newPlay(test routesfile.Test, config router.Config, kinds *router.Registry) *play {
	p := &play{test: test, config: config}
	p.config.Handlers = nil // the box has one that accepts for each that is missing
	for _, spec := range config.Handlers {
		if kind, ok := kinds.Kind(spec.Kind); ok && kind.Pure {
			p.config.Handlers = append(p.config.Handlers, spec)
		}
	}
	for _, s := range test.Send {
		i := slices.IndexFunc(config.Channels, func(ch router.Channel) bool { return ch.Name == s.Channel })
		if i < 0 {
			continue // checked when the tests were loaded
		}
		ch := config.Channels[i]
		for _, text := range s.Messages {
			p.sent = append(p.sent, sent{ch, cmp.Or(s.Name, ch.Topic, ch.Name), text})
		}
	}
	return p
}

// perform runs the test until ctx ends, which is after patience at the latest. What takes
// too long is left behind.
func (p *play) perform(ctx context.Context, patience time.Duration) error {
	verdicts, err := answers(p.test.Answers)
	if err != nil {
		return err
	}
	box, err := routertest.NewWith(p.config, routertest.Options{Now: p.begin(), Answers: verdicts, MaxPublished: mostPublished})
	if err != nil {
		return err
	}
	p.box = box
	ended := make(chan error, 1)
	go func() {
		i := 0
		for _, s := range p.test.Send {
			if s.After > 0 {
				box.Advance(s.After)
			}
			for range s.Messages {
				if ctx.Err() != nil {
					return // it is left behind, and closed below
				}
				box.PostAs(p.sent[i].channel.Name, p.sent[i].name, p.sent[i].text)
				i++
			}
		}
		p.ended = box.Wait()
		ended <- box.Close()
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		go box.Close() // it is left behind
		return fmt.Errorf("did not end within %v: a handler that runs for real, since its kind is pure, waits for something; or there are far too many attempts", patience)
	}
}

// begin is where the clock begins: where the test says, else when the first message that
// has a time was sent, so that it is neither old nor to come; else at a time like any other.
func (p *play) begin() time.Time {
	if !p.test.Now.IsZero() {
		return p.test.Now
	}
	none := time.Unix(0, 0)
	for _, s := range p.sent {
		events, _ := s.events(none)
		if len(events) > 0 && !events[0].Time.Equal(none) {
			return events[0].Time
		}
	}
	return time.Date(2026, time.January, 5, 12, 0, 0, 0, time.UTC)
}

// noID is the id of a message that has none, where it is only looked at.
const noID = "-"

// events are what a message is.
func (s *sent) events(now time.Time) ([]router.Event, error) {
	return router.Decode(s.channel, router.Message{Payload: []byte(s.text), Name: s.name, ID: noID, Time: now})
}

// answers are the verdicts that a test's words mean.
func answers(words map[string][]string) (map[string][]error, error) {
	verdicts := map[string]error{
		"ok":          nil,
		"error":       errors.New("the test answers error"),
		"permanent":   router.Permanent(errors.New("the test answers permanent")),
		"unavailable": router.Unavailable(errors.New("the test answers unavailable"), 0),
		"timeout":     routertest.ErrTimeout,
		"panic":       routertest.Panic("the test answers panic"),
	}
	all := make(map[string][]error, len(words))
	for handler, list := range words {
		for _, word := range list {
			verdict, known := verdicts[word]
			if !known {
				return nil, fmt.Errorf("the answer %q of handler %q is none; this is a bug of Signalbox", word, handler)
			}
			all[handler] = append(all[handler], verdict)
		}
	}
	return all, nil
}

// exercised are the routes, by channel and name, whose policy an event reached.
func (p *play) exercised() map[[2]string]bool {
	routes := map[[2]string]bool{}
	for _, o := range p.box.Outcomes() {
		if o.Route != "" && o.Result != router.Filtered {
			routes[[2]string{o.Channel, o.Route}] = true
		}
	}
	return routes
}
