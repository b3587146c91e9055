package router

import (
	"container/list"
	"log/slog"
	"strings"
	"time"
)

// keyLives are the keys of a channel that have come before, and when they came last.
type keyLives struct {
	of     map[string]*keyLife
	fresh  list.List  // of *keyLife, by when they came last: those that are to come again
	silent list.List  // those that don't
	coming []*keyLife // that came again, which is not told yet
	full   bool       // there are too many: new ones are not followed
	logged bool       // that it is full
}

// keyLife is a key. Its times are by the router's clock.
type keyLife struct {
	key    string
	last   time.Duration
	since  time.Time // when it came last before it was told to be silent, by the time of day
	told   bool      // the routes know that it is silent
	coming bool
	in     *list.List // nil: it is not expected
	place  *list.Element
}

// move puts the key at the end of a list.
func (k *keyLife) move(to *list.List) {
	if k.in == to {
		to.MoveToBack(k.place)
		return
	}
	if k.in != nil {
		k.in.Remove(k.place)
	}
	if k.in = to; to != nil {
		k.place = to.PushBack(k)
	}
}

// saw notes that events of these keys came, and reports whether that is to be looked at.
func (q *keyLives) saw(keys []string, now time.Duration) (news bool) {
	for _, key := range keys {
		k := q.of[key]
		if k == nil {
			if len(q.of) >= maxSequences || len(key) > maxText {
				q.full, news = true, news || !q.full
				continue
			}
			if q.of == nil {
				q.of = map[string]*keyLife{}
			}
			k = &keyLife{key: strings.Clone(key)} // key is a view of the whole message
			q.of[k.key] = k
		}
		news = news || q.fresh.Len() == 0 // nobody looks after these
		k.last = now
		k.move(&q.fresh)
		if k.told && !k.coming {
			k.coming, news = true, true
			q.coming = append(q.coming, k)
		}
	}
	return news
}

// find finds which of them are silent, and which are not any more: room at most.
func (q *keyLives) find(at moment, limit time.Duration, room int, told *report) (next time.Duration) {
	n := min(len(q.coming), max(0, room))
	for _, k := range q.coming[:n] {
		k.told, k.coming = false, false
		told.add(TypeLive, k.key, k.since)
	}
	room -= n
	if q.coming = q.coming[n:]; len(q.coming) > 0 {
		return crowded
	}
	q.coming = nil
	told.left, told.full = q.silent.Len(), q.full && !q.logged
	q.logged = q.full
	if !at.open || limit == 0 {
		return longNap
	}
	for first := q.fresh.Front(); first != nil; first = q.fresh.Front() {
		k := first.Value.(*keyLife)
		from := max(k.last, at.from)
		if left := limit - (at.clock - from); left > 0 {
			return left
		}
		if room <= 0 {
			return crowded
		}
		room--
		k.move(&q.silent)
		k.told, k.since = true, at.wallAt(from)
		told.add(TypeStale, k.key, k.since)
	}
	return longNap
}

// rest makes none of them silent, at the end of what began at from. Those that were so for
// all of it are not expected when the next one begins: they may be gone for good.
func (q *keyLives) rest(from time.Duration) {
	for first := q.silent.Front(); first != nil; first = q.silent.Front() {
		k := first.Value.(*keyLife)
		if k.move(nil); k.last >= from {
			k.in, k.place = &q.fresh, q.fresh.PushFront(k)
		}
	}
}

// report is what is told of a channel at a time.
type report struct {
	channel string
	all     []silence
	left    int  // keys that are silent, but for those that are new
	full    bool // not all keys are followed
}

// silence is what began, or ended.
type silence struct {
	typ, key string // key is empty: of all events
	since    time.Time
}

func (r *report) add(typ, key string, since time.Time) {
	r.all = append(r.all, silence{typ, key, since})
}

// log writes a line for each cause, whatever the number of keys. That single keys are live
// again is not told as long as others are silent.
func (r *report) log(log *slog.Logger) {
	var stale, live []silence
	for _, one := range r.all {
		switch {
		case one.key == "" && one.typ == TypeStale:
			log.Warn("the channel is stale", "channel", r.channel, "since", one.since)
		case one.key == "":
			log.Info("the channel is live again", "channel", r.channel, "since", one.since)
		case one.typ == TypeStale:
			stale = append(stale, one)
		default:
			live = append(live, one)
		}
	}
	if len(stale) > 0 {
		log.Warn("keys are stale", "channel", r.channel, "key", clip(stale[0].key), "since", stale[0].since, "keys", len(stale))
	}
	if len(live) > 0 && len(stale)+r.left == 0 {
		log.Info("no key is stale any more", "channel", r.channel, "key", clip(live[0].key))
	}
	if r.full {
		log.Warn("too many keys: it is not noticed when new ones are stale", "channel", r.channel, "keys", maxSequences)
	}
}
