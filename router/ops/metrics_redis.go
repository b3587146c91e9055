package ops

import (
	"context"
	"time"
)

// redisMeters tell how Redis is, and what it says about the streams.
type redisMeters struct {
	up, reconnects, unverified, told   *meter
	lag, pending, oldest, length, dead *meter
}

func newRedisMeters(all *meters) redisMeters {
	return redisMeters{
		up:         all.gauge("redis_up", "Whether Redis is there: 1 or 0."),
		reconnects: all.counter("redis_reconnects_total", "How often Redis came back after it was away."),
		unverified: all.gauge("tls_unverified", "Whether the certificate of Redis is not looked at: 1 or 0."),
		told:       all.gauge("redis_scrape_success", "Whether Redis told all that is asked about streams: 1 or 0. What it did not tell is absent."),

		lag:     all.gauge("stream_lag_entries", "Entries that the group has not read; absent when Redis cannot tell.", "channel", "group"),
		pending: all.gauge("stream_pending_entries", "Entries that the group has read and not acknowledged.", "channel", "group"),
		oldest:  all.gauge("stream_oldest_pending_seconds", "How long ago the oldest pending entry was added; absent when none is pending.", "channel", "group"),
		length:  all.gauge("stream_entries", "Entries that the stream holds.", "channel"),
		dead:    all.gauge("dead_letter_entries", "Dead letters that there are; only of streams.", "channel"),
	}
}

func (m redisMeters) readLink(s sheet, link Link) {
	s.add(m.up, truth(!link.Away))
	s.add(m.reconnects, float64(link.Reconnects))
	s.add(m.unverified, truth(link.Unverified))
}

func (m redisMeters) readStreams(ctx context.Context, s sheet, from *poll) {
	streams, err := from.answer(ctx)
	s.add(m.told, truth(err == nil))
	for _, stream := range streams {
		if stream.Lag >= 0 {
			s.most(m.lag, float64(stream.Lag), stream.Channel, stream.Group)
		}
		s.most(m.pending, float64(stream.Pending), stream.Channel, stream.Group)
		if !stream.Oldest.IsZero() {
			// The clocks of Redis and of this machine may differ.
			s.most(m.oldest, max(0, time.Since(stream.Oldest).Seconds()), stream.Channel, stream.Group)
		}
		s.most(m.length, float64(stream.Length), stream.Channel)
		if stream.Dead >= 0 {
			s.most(m.dead, float64(stream.Dead), stream.Channel)
		}
	}
}
