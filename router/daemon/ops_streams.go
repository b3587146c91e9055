package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"signalbox/router"
	"signalbox/router/ops"
	"signalbox/router/transport"
)

// opsStreams is [ops.Program.Streams].
func (p *program) opsStreams(ctx context.Context) ([]ops.Stream, error) {
	s := newSurvey(p.snapshot())
	var streams []ops.Stream
	var unread []error
	for _, ch := range s.loaded.Config.Channels {
		own := s.groups[ch.Name]
		if ch.Transport != router.Stream || len(own) == 0 {
			continue
		}
		found, _, err := s.at(ctx, ch.Topic)
		if err != nil {
			unread = append(unread, fmt.Errorf("channel %q: %w", ch.Name, err))
		}
		dead, uncounted := s.countDead(ctx, ch)
		if uncounted != nil {
			unread = append(unread, fmt.Errorf("dead letters of channel %q: %w", ch.Name, uncounted))
		}
		for _, name := range slices.Sorted(maps.Keys(own)) {
			one := ops.Stream{Channel: ch.Name, Group: name, Route: own[name], Length: found.Length, Lag: -1, Dead: dead}
			g, ok := groupIn(found.Groups, name)
			if ok {
				one.Lag, one.Pending, one.Oldest = g.Lag, g.Pending, g.Oldest.Added
			}
			if ok || err == nil { // else nobody knows whether it is there
				streams = append(streams, one)
			}
		}
	}
	return streams, asked(errors.Join(unread...))
}

func groupIn(found []transport.GroupStatus, name string) (transport.GroupStatus, bool) {
	i := slices.IndexFunc(found, func(g transport.GroupStatus) bool { return g.Name == name })
	if i < 0 {
		return transport.GroupStatus{}, false
	}
	return found[i], true
}

// countDead is how many dead letters there may be of a channel; -1: Redis cannot tell.
func (s *survey) countDead(ctx context.Context, ch router.Channel) (total int64, err error) {
	for _, place := range s.loaded.Config.DeadLetters(ch.Name) {
		n, err := s.redis.Client().XLen(ctx, place.Topic).Result()
		if err != nil {
			return -1, fmt.Errorf("XLEN %q: %w", place.Topic, err)
		}
		total += n
	}
	return total, nil
}
