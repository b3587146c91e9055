package ops

import "signalbox/router"

// lossMeters tell what never arrived.
type lossMeters struct{ dropped, trimmed, gaps, blind *meter }

func newLossMeters(all *meters) lossMeters {
	return lossMeters{
		dropped: all.counter("events_dropped_total", "Pub/Sub events that were lost in this process: its queue was full, or could not be worked off at shutdown.", "channel", "reason"),
		trimmed: all.counter("stream_trimmed_undelivered_total", "Entries of a stream that were trimmed before they could be delivered.", "channel"),
		gaps:    all.counter("pubsub_gaps_total", "How often a Pub/Sub channel could not be listened to. What was published meanwhile is lost.", "channel"),
		blind:   all.counter("pubsub_gap_seconds_total", "How long a Pub/Sub channel could not be listened to, all gaps together.", "channel"),
	}
}

func (m lossMeters) read(s sheet, running router.Config, stats router.Stats, losses []Loss) {
	for _, ch := range running.Channels {
		if _, isRead := stats.Channels[ch.Name]; !isRead {
			continue
		}
		if ch.Transport == router.Stream {
			s.add(m.trimmed, 0, ch.Name)
			continue
		}
		s.add(m.dropped, 0, ch.Name, LossOverflow)
		s.add(m.dropped, 0, ch.Name, LossShutdown)
		s.add(m.gaps, 0, ch.Name)
		s.add(m.blind, 0, ch.Name)
	}
	for _, lost := range losses {
		switch lost.Reason {
		case LossGap:
			s.add(m.gaps, float64(lost.Times), lost.Channel)
			s.add(m.blind, lost.Blind.Seconds(), lost.Channel)
		case LossTrimmed:
			s.add(m.trimmed, float64(lost.Events), lost.Channel)
		default:
			s.add(m.dropped, float64(lost.Events), lost.Channel, lost.Reason)
		}
	}
}
