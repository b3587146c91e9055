package router

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// setup is what the router has made of one configuration. It shares with the setup
// before it what a reload leaves as it is.
type setup struct {
	config        Config
	handlers      []*instance
	routes        []*route // in the order of the configuration
	subscriptions []*subscription
	feeds         []*feed  // one for each subscription
	past          []*route // were in earlier configurations; their counters are kept
	channels      map[string]*channelCounters
	lives         map[string]*liveness // by channel; only of those that say when they are stale
}

// builder makes a setup from the one before it. Until it has succeeded it changes
// nothing of that.
type builder struct {
	*setup
	before *setup // empty for the first
	router *Router
	names  map[string]string // of channels that were renamed: now to before
}

// build makes all that can fail. What it made is closed when something did.
func (r *Router) build(cfg Config, before *setup) (_ *setup, err error) {
	b := &builder{setup: &setup{config: cfg, channels: map[string]*channelCounters{}, lives: map[string]*liveness{}}, before: before, router: r, names: renamed(cfg, before.config)}
	defer func() {
		if err != nil {
			r.discard(b.setup, before)
		}
	}()
	if err := b.makeHandlers(); err != nil {
		return nil, err
	}
	b.makeRoutes()
	if err := b.makeFeeds(); err != nil {
		return nil, err
	}
	return b.setup, nil
}

func (b *builder) makeHandlers() error {
	for _, spec := range b.config.Handlers {
		if !slices.ContainsFunc(b.config.Routes, func(route Route) bool { return route.Handler == spec.Name }) {
			continue
		}
		if i := slices.IndexFunc(b.before.handlers, func(h *instance) bool { return h.same(spec) }); i >= 0 {
			b.handlers = append(b.handlers, b.before.handlers[i])
			continue
		}
		env := Env{Service: b.config.Service, Handler: spec.Name, Log: b.router.handlerLog.With("handler", spec.Name), Publisher: b.router.publisher, Latest: b.router.opts.Latest}
		handler, err := spec.New(env)
		if err != nil {
			return fmt.Errorf("handler %q: %w", spec.Name, err)
		}
		if handler == nil {
			return fmt.Errorf("handler %q: New returned neither a handler nor an error", spec.Name)
		}
		b.handlers = append(b.handlers, newInstance(spec, handler))
	}
	return nil
}

// makeRoutes makes the routes. One that was there keeps its counters and its lanes, and
// so the order of its events.
func (b *builder) makeRoutes() {
	r := b.router
	handlers, channels, before := map[string]*instance{}, map[string]*Channel{}, map[[2]string]*route{}
	for _, h := range b.handlers {
		handlers[h.spec.Name] = h
	}
	for i := range b.config.Channels {
		channels[b.config.Channels[i].Name] = &b.config.Channels[i]
	}
	for _, route := range slices.Concat(b.before.past, b.before.routes) {
		before[[2]string{route.Channel, route.Name}] = route
	}
	for _, cfg := range b.config.Routes {
		ch := cfg.own(*channels[cfg.Channel])
		running := newRoute(cfg, &ch, handlers[cfg.Handler], r.opts, r.keeper, &r.lanes)
		running.gate = newGate(running, b.config.Service, r.opts.Dedupe)
		running.dead = r.deadLetters(b.config, &ch, cfg.Policy.DeadLetter)
		key := [2]string{or(b.names[cfg.Channel], cfg.Channel), cfg.Name}
		if old := before[key]; old != nil {
			running.routeCounters = old.routeCounters
			if !old.lanes.dropped.Load() {
				running.lanes = old.lanes
			}
			delete(before, key)
		}
		b.routes = append(b.routes, running)
	}
	taken := make(map[*routeCounters]bool, len(b.routes))
	for _, route := range b.routes {
		taken[route.routeCounters] = true
	}
	for _, route := range slices.Concat(b.before.past, b.before.routes) { // two may have had one name
		if !taken[route.routeCounters] {
			b.past = append(b.past, route)
		}
	}
}

// makeFeeds makes the subscriptions, and opens subscribers for those that no feed
// brings messages for yet.
func (b *builder) makeFeeds() error {
	byChannel := map[string][]compiled{}
	for _, route := range b.routes {
		types, err := ParseTypes(route.Types...)
		if err != nil {
			return fmt.Errorf("route %q: %w", route.Name, err)
		}
		byChannel[route.Channel] = append(byChannel[route.Channel], compiled{route, types})
	}
	maps.Copy(b.channels, b.before.channels)
	free := slices.Clone(b.before.feeds)
	for _, ch := range b.config.Channels {
		if len(byChannel[ch.Name]) == 0 {
			continue
		}
		counters := b.countersOf(ch.Name)
		dead, life := b.router.deadLetters(b.config, &ch, DeadLetter{}), b.livenessOf(ch)
		for _, s := range subscriptions(ch, byChannel[ch.Name], counters, b.router.opts, b.router.lanes.clock) {
			s.keeper, s.dead, s.service = b.router.keeper, dead, b.config.Service
			if s.speaks {
				s.life = life
			}
			f, err := b.feedFor(s, &free)
			if err != nil {
				return fmt.Errorf("channel %q: %w", ch.Name, err)
			}
			s.feed = f
			b.subscriptions, b.feeds = append(b.subscriptions, s), append(b.feeds, f)
		}
	}
	return nil
}

// countersOf are the counters of a channel: its own of earlier configurations, else those
// of the name that it had. They stand under one name, or they would be added up twice.
func (b *builder) countersOf(name string) *channelCounters {
	if b.channels[name] == nil {
		was := b.names[name]
		b.channels[name] = cmp.Or(b.channels[was], &channelCounters{})
		delete(b.channels, was)
	}
	return b.channels[name]
}

// feedFor is a feed that is free and serves s, that of its channel first, or a new one.
func (b *builder) feedFor(s *subscription, free *[]*feed) (*feed, error) {
	at := slices.IndexFunc(*free, func(f *feed) bool { return f.to.channel.Name == s.channel.Name && f.serves(s) })
	if at < 0 {
		at = slices.IndexFunc(*free, func(f *feed) bool { return b.names[s.channel.Name] == f.to.channel.Name && f.serves(s) })
	}
	if at >= 0 {
		f := (*free)[at]
		*free = slices.Delete(*free, at, at+1)
		return f, nil
	}
	subscriber, err := b.router.opts.Subscriber(s.channel)
	if err != nil {
		return nil, err
	}
	return newFeed(s, subscriber, b.router.opts)
}

// renamed are the channels that have another declared name than before and are
// otherwise opened in the same way: now to before.
func renamed(now, before Config) map[string]string {
	byOpening := map[string]string{}
	for _, ch := range before.Channels {
		if !slices.ContainsFunc(now.Channels, func(is Channel) bool { return is.Name == ch.Name }) {
			byOpening[fmt.Sprintf("%+v", opening(ch))] = ch.Name
		}
	}
	names := map[string]string{}
	for _, ch := range now.Channels {
		was, ok := byOpening[fmt.Sprintf("%+v", opening(ch))]
		if ok && !slices.ContainsFunc(before.Channels, func(old Channel) bool { return old.Name == ch.Name }) {
			names[ch.Name] = was
			delete(byOpening, fmt.Sprintf("%+v", opening(ch)))
		}
	}
	return names
}

// discard closes what of a setup the one before it doesn't have.
func (r *Router) discard(s, before *setup) {
	var closing sync.WaitGroup
	for _, f := range s.feeds {
		if !slices.Contains(before.feeds, f) {
			closing.Go(func() { f.close(r.log) })
		}
	}
	closing.Wait()
	r.closeHandlers(slices.DeleteFunc(slices.Clone(s.handlers), func(h *instance) bool { return slices.Contains(before.handlers, h) }))
}

func (r *Router) closingFailed(h *instance, err error) {
	r.log.Error("closing the handler failed", "handler", h.spec.Name, "err", err)
}

// check says what is wrong with a configuration, and returns it with its defaults.
func (r *Router) check(cfg Config) (Config, error) {
	cfg, err := normalize(cfg)
	err = errors.Join(err, checkDedupe(cfg, r.opts.Dedupe))
	if r.opts.Publisher == nil && keepsDeadLetters(cfg) {
		err = errors.Join(err, errors.New("dead letters are to be kept, and Options.Publisher is missing"))
	}
	return cfg, err
}

// deadLetters is where what is given up on a channel is kept; nil: nowhere. Without a
// publisher there is no place to keep it; check has made sure that none was asked for.
func (r *Router) deadLetters(cfg Config, ch *Channel, set DeadLetter) *Channel {
	if r.opts.Publisher == nil {
		return nil
	}
	to, _ := deadLetters(cfg.Channels, ch, set) // checked by normalize
	return to
}
