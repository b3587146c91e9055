package scenario

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"signalbox/router"
	"signalbox/router/internal/order"
)

// happening is what became of an event on a route, of a message that reached none, or a
// message that was published.
type happening struct {
	list    string // handled, skipped, failed, rejected, unmatched, published or waiting
	dead    bool   // it also became a dead letter
	channel string

	route, handler, typ, id, key string
	attempts                     int
	reason                       string
	cause                        string // of a rejected message
	detail                       string // the error
	message, data                json.RawMessage
	knownMessage, knownData      known
	event                        *router.Event // nil: it is none, or was published
}

// is reports whether h belongs into a list of expectations.
func (h *happening) is(list string) bool {
	switch list {
	case "dead":
		return h.dead
	case "not_handled":
		return h.list == "handled"
	default:
		return h.list == list
	}
}

// happened is what happened: by route, since routes don't wait for each other, and in the
// order of completion where it is about the same; and then what was published.
func (p *play) happened() []happening {
	var all []happening
	why := map[string]error{} // the last failure of what is still tried
	for _, o := range p.box.Outcomes() {
		of := fmt.Sprintf("%p %s", o.Event, o.Route)
		if o.Result == router.Unfinished && why[of] != nil {
			o.Err = why[of]
		}
		if h, ok := became(o); ok {
			all = append(all, h)
		} else {
			why[of] = o.Err
		}
	}
	routes := map[[2]string]int{}
	for i, r := range p.config.Routes {
		routes[[2]string{r.Channel, r.Name}] = i + 1
	}
	order.Stable(all, func(a, b *happening) int {
		return cmp.Or(cmp.Compare(routes[[2]string{a.channel, a.route}], routes[[2]string{b.channel, b.route}]),
			cmp.Compare(a.channel, b.channel), cmp.Compare(a.typ, b.typ), cmp.Compare(a.ownID(), b.ownID()))
	})
	for _, ch := range p.config.Channels {
		for _, message := range p.box.Published(ch.Name) {
			all = append(all, published(ch, message))
		}
	}
	return all
}

// became is what an outcome means to a test; an attempt that is followed by another is none
// of its own.
func became(o router.Outcome) (happening, bool) {
	h := happening{channel: o.Channel, route: o.Route, handler: o.Handler, attempts: o.Attempt, dead: o.Kept, reason: string(o.Reason), event: o.Event}
	if o.Err != nil {
		h.detail = o.Err.Error()
	}
	if e := o.Event; e != nil {
		h.typ, h.id, h.key, h.message, h.data = e.Type, e.ID, e.Key, e.Msg, e.Data
	}
	switch o.Result {
	case router.Handled:
		h.list, h.reason = "handled", ""
	case router.Failed, router.CrashLoop:
		h.list = "failed"
	case router.Rejected:
		h.list = "rejected"
		h.cause = string(router.CauseMiddleware)
		if m, ok := router.AsMalformed(o.Err); ok {
			h.cause = string(m.Cause)
		}
	case router.Unmatched:
		h.list = "unmatched"
	case router.Skipped:
		h.list, h.reason = "skipped", "max_age"
	case router.Filtered:
		h.list, h.reason = "skipped", "when"
	case router.Duplicate:
		h.list, h.reason = "skipped", "dedupe"
	case router.Unfinished:
		h.list = "waiting"
	default: // an attempt that another follows
		return happening{}, false
	}
	return h, true
}

func published(ch router.Channel, message string) happening {
	h := happening{list: "published", channel: ch.Name, message: json.RawMessage(message)}
	events, err := router.Decode(ch, router.Message{Payload: []byte(message), Name: ch.Topic, ID: noID, Time: time.Unix(0, 0)})
	if err == nil && len(events) == 1 {
		e := &events[0]
		h.typ, h.key, h.data = e.Type, e.Key, e.Data
		if e.ID != noID {
			h.id = e.ID
		}
	}
	return h
}

// String says what happened, as a test would have expected it.
func (h *happening) String() string {
	list := h.list
	if h.dead {
		list += ", dead"
	}
	var fields []string
	for _, f := range []struct{ key, value string }{
		{"handler", h.handler}, {"route", h.route}, {"channel", h.channel}, {"type", h.typ}, {"id", h.ownID()}, {"key", h.key}, {"reason", h.reason},
	} {
		if f.value != "" && (f.key != "route" || h.route != h.handler) {
			fields = append(fields, fmt.Sprintf("%s = %q", f.key, f.value))
		}
	}
	if h.attempts > 1 {
		fields = append(fields, fmt.Sprintf("attempts = %d", h.attempts))
	}
	return list + " { " + strings.Join(fields, ", ") + " }"
}

// ownID is the id that the message has itself; others were made up for it.
func (h *happening) ownID() string {
	if strings.HasPrefix(h.typ, router.OwnPrefix) || !strings.Contains(string(h.message), h.id) {
		return ""
	}
	return h.id
}
