package router

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxNap is how long a channel's hours are relied on: the time of day may be set.
	maxNap  = time.Minute
	longNap = 24 * time.Hour // nothing is to be seen until then
	// crowded is how long it waits to tell more, when those who listen are behind.
	crowded = 10 * time.Millisecond
)

// never is when something came that never did.
const never = -1

// liveness knows when something came last on a channel. It tells the routes when nothing has
// come for too long, and when something comes again: whoever was told the one is told the
// other, however much later. It belongs to its channel, also over reloads.
type liveness struct {
	router *Router
	last   atomic.Int64 // when an event came, by the router's clock
	told   atomic.Bool  // the routes know that nothing comes, so that who brings something wakes run
	wake   chan struct{}
	stop   chan struct{}
	ended  chan struct{} // nil: not begun

	mu     sync.Mutex
	of     Channel
	began  time.Duration // by the router's clock, as are those below
	opened time.Time     // since when its hours are open; zero: always, or they are not
	stale  bool          // it is to be alive, and is not
	silent time.Duration // since when; it says what was told last
	since  time.Time     // the same, by the time of day
	keys   keyLives
}

// livenessOf is what watches a channel: what did so before, if it has that name or had it,
// or a new one. Nil: nothing does. Where time is not what it is, nothing goes stale by it.
func (b *builder) livenessOf(ch Channel) *liveness {
	if ch.StaleAfter == (StaleAfter{}) || b.router.opts.Sleep != nil {
		return nil
	}
	l := b.before.lives[or(b.names[ch.Name], ch.Name)]
	if l == nil {
		l = &liveness{router: b.router, wake: make(chan struct{}, 1), stop: make(chan struct{})}
		l.last.Store(never)
	}
	b.lives[ch.Name] = l
	return l
}

// watch begins what the setup before didn't watch, and ends what now doesn't. Run calls it.
func (r *Router) watch(before, now *setup) {
	for _, s := range now.subscriptions {
		if s.life != nil {
			s.life.adopt(s.channel)
		}
	}
	still := map[*liveness]bool{}
	for _, l := range now.lives {
		still[l] = true
	}
	for _, l := range before.lives {
		if !still[l] && l.ended != nil {
			close(l.stop)
			<-l.ended
		}
	}
}

// adopt has it go by what a channel says now.
func (l *liveness) adopt(ch Channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.of
	if l.of = ch; l.ended == nil { // what came already stays
		l.ended, l.began = make(chan struct{}), l.router.lanes.clock()
		go l.run()
	} else if ch.StaleAfter.PerKey == 0 || was.Fields.Key != ch.Fields.Key || was.Fields.KeyFromName != ch.Fields.KeyFromName {
		l.keys = keyLives{}
	}
	l.rouse()
}

// rouse has run look.
func (l *liveness) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// saw notes that events came, of these keys.
func (l *liveness) saw(keys []string) {
	now := l.router.lanes.clock()
	l.last.Store(int64(now))
	rouse := l.told.Load()
	if len(keys) > 0 {
		l.mu.Lock()
		news := l.keys.saw(keys, now)
		l.mu.Unlock()
		rouse = rouse || news
	}
	if rouse {
		l.rouse()
	}
}

// know notes a key of an event that did not come now: it is to come again.
func (l *liveness) know(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys.of[key] == nil && l.keys.saw([]string{key}, l.router.lanes.clock()) {
		l.rouse()
	}
}

// run looks whenever there is something to be seen.
func (l *liveness) run() {
	defer close(l.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.wake:
		case <-timer.C:
		}
		timer.Reset(l.look())
	}
}

// look tells what is to be told, and returns when to look again.
func (l *liveness) look() time.Duration {
	feeds := l.feeds()
	room := maxOwn / 2 // what is more would be dropped when those who listen are behind
	for _, f := range feeds {
		room = min(room, maxOwn/2-int(f.saying.Load()))
	}
	told, next := l.find(room)
	for _, one := range told.all {
		data := Silence{Key: plainText(one.key), Since: one.since}
		for _, f := range feeds {
			f.say(one.typ, one.key, data, nil)
		}
	}
	told.log(l.router.log)
	return max(next, time.Millisecond)
}

// feeds are those of its channel.
func (l *liveness) feeds() (feeds []*feed) {
	now := l.router.current()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, f := range now.feeds {
		if now.subscriptions[i].channel.Name == l.of.Name {
			feeds = append(feeds, f)
		}
	}
	return feeds
}

// find finds what is to be told, of so many keys at most, and when to look again.
func (l *liveness) find(room int) (told report, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := moment{clock: l.router.lanes.clock(), wall: l.router.opts.Now(), from: l.began}
	var since time.Time
	if since, at.open = l.of.Hours.Open(at.wall); !at.open || !since.Equal(l.opened) {
		l.stale = false // neither stale nor alive, as long as it is closed
		l.keys.rest(l.sinceOpened(at))
		l.opened = since
	}
	at.from = l.sinceOpened(at)
	told = report{channel: l.of.Name}
	next = l.findAll(at, &told)
	next = min(next, l.keys.find(at, l.of.StaleAfter.PerKey, room, &told))
	if change := l.of.Hours.Next(at.wall); !change.IsZero() {
		next = min(next, maxNap, change.Sub(at.wall))
	}
	return told, next
}

// sinceOpened is since when something is to be expected, by the router's clock.
func (l *liveness) sinceOpened(at moment) time.Duration {
	if l.opened.IsZero() {
		return l.began
	}
	return max(l.began, at.clock-at.wall.Sub(l.opened))
}

// findAll is find for all events together.
func (l *liveness) findAll(at moment, told *report) (next time.Duration) {
	last, limit := time.Duration(l.last.Load()), l.of.StaleAfter.Any
	if l.told.Load() && last > l.silent {
		told.add(TypeLive, "", l.since)
		l.stale = false
		l.told.Store(false)
	}
	if !at.open || limit == 0 || l.stale {
		return longNap
	}
	from := max(last, at.from)
	if left := limit - (at.clock - from); left > 0 {
		return left
	}
	l.stale, l.silent, l.since = true, from, at.wallAt(from)
	told.add(TypeStale, "", l.since)
	if l.told.Store(true); time.Duration(l.last.Load()) > from { // it came before it could know whom to wake
		return 0
	}
	return longNap
}

// stats adds to the statistics of its channel.
func (l *liveness) stats(of *ChannelStats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stale {
		of.Stale = l.since
	}
	of.StaleKeys = l.keys.silent.Len()
	if last := l.last.Load(); last != never {
		of.LastEvent = moment{clock: l.router.lanes.clock(), wall: l.router.opts.Now()}.wallAt(time.Duration(last))
	}
}

// Stale are the channels on which nothing comes for longer than their StaleAfter.Any, and
// since when.
func (r *Router) Stale() map[string]time.Time {
	stale := map[string]time.Time{}
	for name, l := range r.current().lives {
		l.mu.Lock()
		if l.stale {
			stale[name] = l.since
		}
		l.mu.Unlock()
	}
	return stale
}

// moment is a point in time, and since when something was to be expected then.
type moment struct {
	clock time.Duration // by the router's clock
	wall  time.Time
	from  time.Duration
	open  bool
}

// wallAt is the time of day when the clock showed something.
func (m moment) wallAt(clock time.Duration) time.Time {
	return m.wall.Add(clock - m.clock).UTC().Truncate(time.Millisecond)
}
