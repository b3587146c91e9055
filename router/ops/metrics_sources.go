package ops

import "signalbox/router"

// sourceMeters tell how the sources are, and what they read and publish.
type sourceMeters struct {
	connected, holds, state, epoch, expected, data, seen *meter
	sessions, attempts                                   *meter
	received, published, dropped, rejected, duplicate    *meter
	missing, other, queue                                *meter
}

func newSourceMeters(all *meters) sourceMeters {
	counter := func(name, help string, more ...string) *meter {
		return all.counter("source_"+name, help, append([]string{"source", "channel"}, more...)...)
	}
	gauge := func(name, help string, more ...string) *meter {
		return all.gauge("source_"+name, help, append([]string{"source", "channel"}, more...)...)
	}
	return sourceMeters{
		connected: gauge("connected", "Whether this router is connected to the source: 1 or 0. Of those that share a lease one is, at most."),
		holds:     gauge("holds", "Whether this router holds the source, and so is to connect: 1 or 0."),
		state:     gauge("state", "What the source does in this router: 1 for its state, 0 for all others.", "state"),
		epoch:     gauge("epoch", "The epoch of this router's term, or its last; 0: it had none. It grows from holder to holder."),
		expected:  gauge("data_expected", "Whether data is to be expected now, by the hours of the source: 1 or 0."),
		data:      gauge("last_data_timestamp_seconds", "When this router last read an event from the source; absent: never."),
		seen:      gauge("last_seen_timestamp_seconds", "When anything came from the source last, such as a heartbeat; absent: never."),

		sessions: counter("sessions_total", "Sessions that the other side accepted."),
		attempts: counter("attempts_total", "Attempts to connect."),

		received:  counter("events_received_total", "Events that were read; a message that is split counts as its elements."),
		published: counter("published_total", "Events that were published, own events such as signalbox.connected included."),
		dropped:   counter("dropped_total", "Events that were read and not published: Redis was too slow for them, or the term or the router ended."),
		rejected:  counter("rejected_total", "Messages that are no event.", "cause"),
		duplicate: counter("duplicates_total", "Events that were not published, since their number had come just before."),
		missing:   counter("missing_total", "Numbers that the other side left out; only sources with seq."),
		other:     counter("other_total", "Events that were not published, being of types that the channel does not declare."),

		queue: gauge("queue_events", "Events that wait for Redis."),
	}
}

func (m sourceMeters) read(s sheet, sources []Source) {
	for _, one := range sources {
		at := func(more ...string) []string { return append([]string{one.Name, one.Channel}, more...) }
		s.most(m.connected, truth(one.State == SourceConnected), at()...)
		s.most(m.holds, truth(one.Holds), at()...)
		for _, state := range sourceStates() {
			s.most(m.state, truth(one.State == state), at(string(state))...)
		}
		s.most(m.epoch, float64(one.Epoch), at()...)
		s.most(m.expected, truth(one.Expected), at()...)
		if !one.LastData.IsZero() {
			s.most(m.data, float64(one.LastData.UnixMilli())/1000, at()...)
		}
		if !one.LastSeen.IsZero() {
			s.most(m.seen, float64(one.LastSeen.UnixMilli())/1000, at()...)
		}
		s.add(m.queue, float64(one.Queued), at()...)
		m.count(s, one, at)
	}
}

// count tells the counters, from the start on.
func (m sourceMeters) count(s sheet, one Source, at func(more ...string) []string) {
	s.add(m.sessions, float64(one.Sessions), at()...)
	s.add(m.attempts, float64(one.Attempts), at()...)
	s.add(m.received, float64(one.Received), at()...)
	s.add(m.published, float64(one.Published), at()...)
	s.add(m.dropped, float64(one.Dropped), at()...)
	s.add(m.duplicate, float64(one.Duplicates), at()...)
	s.add(m.missing, float64(one.Missing), at()...)
	s.add(m.other, float64(one.Other), at()...)
	for _, cause := range sourceCauses() {
		s.add(m.rejected, 0, at(string(cause))...)
	}
	for cause, n := range one.Rejected {
		s.add(m.rejected, float64(n), at(string(cause))...)
	}
}

// sourceCauses are all that what a source reads may be rejected for.
func sourceCauses() []router.Cause { return append(causes(), "unpublishable") }
