package router

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// own is the channel as the route's subscriber is opened.
func (r *Route) own(ch Channel) Channel {
	if !r.Isolated {
		return ch
	}
	if ch.Transport == Stream {
		ch.Like, ch.Group = ch.Group, ch.Group+"."+r.Name
		return ch
	}
	ch.Queue, ch.QueueBytes, ch.Overflow = cmp.Or(r.Queue, ch.Queue), cmp.Or(r.QueueBytes, ch.QueueBytes), cmp.Or(r.Overflow, ch.Overflow)
	return ch
}

// checkQueue says what is wrong with a queue of the route's own.
func (r *Route) checkQueue(channels []Channel) error {
	var ch Channel
	if i := slices.IndexFunc(channels, func(ch Channel) bool { return ch.Name == r.Channel }); i >= 0 {
		ch = channels[i]
	}
	switch {
	case r.Queue < 0 || r.QueueBytes < 0:
		return fmt.Errorf("a queue of %d events and %d bytes", r.Queue, r.QueueBytes)
	case r.Queue == 0 && r.QueueBytes == 0 && r.Overflow == "":
		return nil
	case !r.Isolated:
		return errors.New("a queue of its own is for an isolated route")
	case ch.Transport == Stream:
		return errors.New("a queue of its own is for a Pub/Sub channel: a stream waits in Redis")
	}
	own := r.own(ch)
	return own.checkOverflow()
}

// checkGroups finds isolated routes whose group another reader of their stream has:
// the two would take entries from each other.
func checkGroups(cfg Config) (errs []error) {
	type reader struct{ topic, group string }
	readers := map[reader]string{}
	byName := map[string]Channel{}
	for _, ch := range cfg.Channels {
		byName[ch.Name] = ch
		if ch.Transport == Stream {
			readers[reader{ch.Topic, ch.Group}] = fmt.Sprintf("channel %q", ch.Name)
		}
	}
	for _, r := range cfg.Routes {
		ch := byName[r.Channel]
		if !r.Isolated || ch.Transport != Stream {
			continue
		}
		own := reader{ch.Topic, r.own(ch).Group}
		if other, taken := readers[own]; taken {
			errs = append(errs, fmt.Errorf("route %q: isolated, it reads stream %q as group %q, and so does %s", r.Name, ch.Topic, own.group, other))
		}
		readers[own] = fmt.Sprintf("route %q of channel %q", r.Name, r.Channel)
	}
	return errs
}
