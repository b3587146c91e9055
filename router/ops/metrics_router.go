package ops

import (
	"cmp"

	"signalbox/router"
)

// routerMeters tell what the router counts.
type routerMeters struct {
	received, unmatched, rejected, missing, age     *meter
	stale, staleKeys, last                          *meter
	handled, retries, took, timeout                 *meter
	dead, abandoned, unmarked, queue, limit, inHand *meter
}

func newRouterMeters(all *meters) routerMeters {
	return routerMeters{
		received:  all.counter("events_received_total", "Events by type. Types that the configuration does not name are other; what is rejected is no event.", "channel", "type"),
		unmatched: all.counter("events_unmatched_total", "Events whose type no route takes.", "channel"),
		rejected:  all.counter("events_rejected_total", "Messages that are no event, and those of a crash loop.", "channel", "cause"),
		missing:   all.counter("events_missing_total", "Numbers that the producers' messages left out; only channels with seq_field.", "channel"),
		age:       all.histogram("event_age_seconds", "How old events were when they had been decoded, by their own time.", "channel"),
		stale:     all.gauge("channel_stale", "Whether no event has come for longer than stale_after.any, within hours: 1 or 0; only channels with stale_after.", "channel"),
		staleKeys: all.gauge("channel_stale_keys", "Keys that have not come for longer than stale_after.per_key, within hours; only channels with stale_after.", "channel"),
		last:      all.gauge("channel_last_event_timestamp_seconds", "When an event came last; only channels with stale_after. Absent: none has come.", "channel"),

		handled: all.counter("events_handled_total", "Events, once for each route that took them, by what became of them.", "channel", "route", "handler", "result"),
		retries: all.counter("retries_total", "Attempts that were followed by another.", "channel", "route", "handler"),
		took:    all.histogram("handler_duration_seconds", "How long the handler's calls took, each attempt by itself. A handler of batches is called for many events at once.", "channel", "route", "handler"),
		timeout: all.gauge("route_timeout_seconds", "How long an attempt may take; absent: as long as it likes.", "channel", "route", "handler"),

		dead:      all.counter("dead_letters_total", "Dead letters written. The route is empty for messages that reached none.", "channel", "route"),
		abandoned: all.counter("handlers_abandoned_total", "Handlers left behind, which did not return after their timeout.", "channel", "route", "handler"),
		unmarked:  all.counter("dedupe_unmarked_total", "Events that were handled and could not be marked so: a duplicate may be handled again.", "channel", "route", "handler"),

		queue:  all.gauge("queue_events", "Events that wait in this process. The route is empty for all but the isolated ones.", "channel", "route"),
		limit:  all.gauge("queue_limit_events", "How many events may wait; only Pub/Sub.", "channel", "route"),
		inHand: all.gauge("in_hand_events", "Events that were taken over and are not done.", "channel", "route"),
	}
}

func (m routerMeters) read(s sheet, running router.Config, stats router.Stats) {
	for name, ch := range stats.Channels {
		m.readChannel(s, name, ch)
	}
	for _, r := range stats.Routes {
		m.readRoute(s, r)
	}
	for _, sub := range stats.Subscriptions {
		s.add(m.queue, float64(sub.Queued), sub.Channel, sub.Route)
		s.add(m.inHand, float64(sub.InHand), sub.Channel, sub.Route)
	}
	m.readConfig(s, running, stats)
}

func (m routerMeters) readChannel(s sheet, name string, ch router.ChannelStats) {
	s.add(m.received, 0, name, router.OtherTypes)
	for typ, n := range ch.Types {
		s.add(m.received, float64(n), name, typ)
	}
	s.add(m.unmatched, float64(ch.Unmatched), name)
	for _, cause := range causes() {
		s.add(m.rejected, 0, name, string(cause))
	}
	for cause, n := range ch.Rejected {
		s.add(m.rejected, float64(n), name, string(cause))
	}
	s.add(m.rejected, float64(ch.CrashLoop), name, string(router.CrashLoop))
	if ch.Missing > 0 {
		s.add(m.missing, float64(ch.Missing), name)
	}
	s.add(m.dead, float64(ch.Dead), name, "")
	s.times(m.age, ch.Age, name)
}

func (m routerMeters) readRoute(s sheet, r router.RouteStats) {
	for result, n := range map[router.Result]uint64{
		router.Handled: r.Handled, router.Failed: r.Failed, router.Skipped: r.Skipped, router.Filtered: r.Filtered,
		router.Duplicate: r.Duplicates, router.Withdrawn: r.Withdrawn, router.Unfinished: r.Unfinished,
	} {
		s.add(m.handled, float64(n), r.Channel, r.Route, r.Handler, string(result))
	}
	s.add(m.retries, float64(r.Retried), r.Channel, r.Route, r.Handler)
	s.add(m.dead, float64(r.Dead), r.Channel, r.Route)
	s.add(m.abandoned, float64(r.Abandoned), r.Channel, r.Route, r.Handler)
	s.add(m.unmarked, float64(r.Unmarked), r.Channel, r.Route, r.Handler)
	s.times(m.took, r.Took, r.Channel, r.Route, r.Handler)
}

// readConfig tells the limits that the counters are to be compared with, and which counters
// there are only in some configurations.
func (m routerMeters) readConfig(s sheet, running router.Config, stats router.Stats) {
	channels := map[string]router.Channel{}
	for _, ch := range running.Channels {
		channels[ch.Name] = ch
		of, is := stats.Channels[ch.Name]
		if is && ch.Fields.Seq != "" {
			s.add(m.missing, 0, ch.Name)
		}
		if is && ch.StaleAfter != (router.StaleAfter{}) {
			m.readSilence(s, ch.Name, of)
		}
	}
	for _, route := range running.Routes {
		name := nameOf(route)
		if timeout := route.Policy.Effective().Timeout; timeout > 0 {
			s.most(m.timeout, timeout.Seconds(), route.Channel, name, route.Handler)
		}
		ch, own := channels[route.Channel], ""
		if route.Isolated {
			ch.Queue, own = cmp.Or(route.Queue, ch.Queue), name
		}
		if ch.Transport == router.PubSub && ch.Queue > 0 {
			s.most(m.limit, float64(ch.Queue), route.Channel, own)
		}
	}
}

// readSilence tells of a channel that says when it is stale.
func (m routerMeters) readSilence(s sheet, name string, ch router.ChannelStats) {
	stale := 0.0
	if !ch.Stale.IsZero() {
		stale = 1
	}
	s.most(m.stale, stale, name)
	s.add(m.staleKeys, float64(ch.StaleKeys), name)
	if !ch.LastEvent.IsZero() {
		s.most(m.last, float64(ch.LastEvent.UnixMilli())/1000, name)
	}
}

// causes are all that a message may be rejected for.
func causes() []router.Cause {
	return []router.Cause{
		router.CauseEmpty, router.CauseTooBig, router.CauseTooDeep, router.CauseInvalidUTF8, router.CauseNaN, router.CauseNotJSON,
		router.CauseNotObject, router.CauseNoType, router.CauseBadType, router.CauseTwice, router.CauseSchema, router.CauseMiddleware,
	}
}
