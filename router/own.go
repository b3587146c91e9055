package router

import (
	"encoding/json"
	"strings"
	"time"

	"signalbox/router/internal/batch"
)

// The types of Signalbox's own events. "*" doesn't take them; a route names them.
const (
	// TypeGap says that messages of a Pub/Sub channel may be missing, see [Gap].
	TypeGap = OwnPrefix + "gap"
	// TypeDead says that an event of the channel became a dead letter, see [Dead].
	TypeDead = OwnPrefix + "dead"
	// TypeStale and TypeLive say that nothing has come for a while, and that something
	// came again, see [Silence]. Each reader tells its own routes.
	TypeStale = OwnPrefix + "stale"
	TypeLive  = OwnPrefix + "live"
	// TypeConnected and TypeDisconnected are published on the channel of a source by who
	// holds it, see [Connection].
	TypeConnected    = OwnPrefix + "connected"
	TypeDisconnected = OwnPrefix + "disconnected"
)

// maxOwn is how many own events of a subscription are under way at most. Nothing else
// bounds them: they come from no transport.
const maxOwn = 1024

// Gap is the data of a [TypeGap] event: either a time in which nothing could arrive, or
// numbers that a producer's messages (Fields.Seq) have left out.
type Gap struct {
	Seconds float64 `json:"seconds,omitempty"` // blind for so long
	Missing uint64  `json:"missing,omitempty"` // messages that did not arrive
	After   uint64  `json:"after,omitempty"`   // the number before them
	Key     string  `json:"key,omitempty"`     // of these messages
	Source  string  `json:"source,omitempty"`  // the source that did not get them; empty: a reader of the channel
}

// Silence is the data of a [TypeStale] and a [TypeLive] event.
type Silence struct {
	Key   string    `json:"key,omitempty"` // empty: the whole channel
	Since time.Time `json:"since"`         // when something came last, or should have begun to come
}

// Connection is the data of a [TypeConnected] and a [TypeDisconnected] event.
type Connection struct {
	Source  string  `json:"source"`
	Service string  `json:"service"`           // who holds the source
	Epoch   int64   `json:"epoch"`             // of the holder, see [Stamp]
	At      string  `json:"at,omitempty"`      // where it is connected to
	Planned bool    `json:"planned,omitempty"` // disconnected on purpose, to connect again or because the router stops
	Reason  string  `json:"reason,omitempty"`  // why it is disconnected
	Silent  float64 `json:"silent,omitempty"`  // connected: for how many seconds nothing came, or was published; what was to come in them is missing
}

// Dead is the data of a [TypeDead] event.
type Dead struct {
	Route      string `json:"route,omitempty"` // empty: the message reached none
	Handler    string `json:"handler,omitempty"`
	Reason     Reason `json:"reason"`
	Error      string `json:"error"`
	ID         string `json:"id,omitempty"` // of the event
	Type       string `json:"type,omitempty"`
	Key        string `json:"key,omitempty"`
	DeadLetter string `json:"dead_letter"` // the Redis name of the stream that keeps it
}

// Blind tells the routes of the Pub/Sub channels that read a Redis name or pattern that
// nothing could arrive for so long. Whoever feeds the subscribers calls it.
func (r *Router) Blind(topic string, lasted time.Duration) {
	r.telling.Lock()
	defer r.telling.Unlock()
	if r.drained {
		return
	}
	for _, f := range r.current().feeds {
		if f.channel.Transport == PubSub && f.channel.Topic == topic {
			f.say(TypeGap, "", Gap{Seconds: lasted.Seconds()}, nil)
		}
	}
}

// dead tells the routes of a channel of a dead letter.
func (r *Router) dead(l *letter) {
	data := Dead{Reason: l.reason, Error: shortened(plainText(l.err.Error()), maxErrorText), DeadLetter: l.to.Topic}
	if l.route != nil {
		data.Route, data.Handler = l.route.Name, l.route.Handler
	}
	if l.event != nil {
		data.ID, data.Type, data.Key = plainText(l.event.ID), plainText(l.event.Type), plainText(l.event.Key)
	}
	now := r.current()
	for i, f := range now.feeds {
		if now.subscriptions[i].channel.Name == l.channel.Name {
			f.say(TypeDead, data.Key, data, l.event)
		}
	}
}

// say hands an own event to the routes that the feed's messages go to. It continues the
// trace of its cause, which may be nil.
func (f *feed) say(typ, key string, about any, cause *Event) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.mute && f.to != nil {
		f.to.say(typ, key, about, cause)
	}
}

// silence ends what the feed says of itself.
func (f *feed) silence() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mute = true
}

// say hands an own event to the routes that name its type, in this process only. It is
// never sent to Redis, so that no replica is told what happened to another, and a fault
// never makes traffic.
func (s *subscription) say(typ, key string, about any, cause *Event) {
	var routes []*route
	for _, route := range s.table.routes(typ) {
		if route.home == s {
			routes = append(routes, route)
		}
	}
	if len(routes) == 0 {
		return
	}
	if s.feed.saying.Add(1) > maxOwn {
		s.feed.saying.Add(-1)
		s.log.Warn("own events come faster than they are handled; dropped", "channel", s.channel.Name, "type", typ)
		return
	}
	data, err := json.Marshal(about)
	if err != nil {
		panic(err) // the types above have nothing that fails
	}
	event := Event{
		ID: newID(), Type: typ, Source: "/signalbox/" + s.service, Time: s.feed.now(), Key: key,
		Channel: s.channel.Name, Name: s.channel.Topic, Data: data,
	}
	if cause != nil {
		event.TraceParent, event.TraceState = cause.TraceParent, cause.TraceState
	}
	if event.Msg, err = encode(s.channel.Fields, &event); err != nil { // the type does not fit into it there
		event.Msg = withTrace(envelope(&event), &event)
	}
	item := &batch.Item{Topic: event.Name, ID: event.ID, Time: event.Time, Payload: event.Msg, Owner: own{s.feed}}
	t := &ticket{}
	t.of(item)
	d := newDelivery(s.feed.work, nil, event.Msg)
	d.event, d.ticket, d.batch, d.msg.UUID = event, t, &gathering{}, event.ID
	for _, r := range routes {
		if r.admits(d) {
			t.hold()
			r.lanes.push([]*delivery{d})
		}
	}
	s.keeper.settle(s.feed.work, d.batch.letters)
	t.release()
}

// own is the owner of an own event.
type own struct{ f *feed }

func (o own) Done(*batch.Item) { o.f.saying.Add(-1) }

// isOwn reports whether a type is Signalbox's own.
func isOwn(typ string) bool { return strings.HasPrefix(typ, OwnPrefix) }

// OfSource reports whether a type is one that the holder of a source publishes of itself. It
// needs no route: where none takes it, it counts as nothing.
func OfSource(typ string) bool {
	return typ == TypeConnected || typ == TypeDisconnected || typ == TypeGap
}
