package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Config is a whole, checked configuration: immutable, ready to run.
// Package routesfile makes one from TOML files; a Go program may write one by hand.
type Config struct {
	// Service is who this process is; replicas share the name and the work.
	Service  string
	Channels []Channel
	Handlers []HandlerSpec
	Routes   []Route
	// Sources are run by package source, not by a [Router].
	Sources []SourceSpec
}

// Channel is a declared, named place that messages are sent to.
type Channel struct {
	Name        string // declared name
	Transport   Transport
	Topic       string // the Redis name or pattern; empty: Name
	Pattern     bool   // Topic is a pattern; nobody can publish to it
	Description string
	Types       []string          // when not empty, the only types of this channel
	Schemas     map[string]Schema // by type: messages that don't satisfy theirs are malformed
	Fields      Fields

	InFlight int // events taken over and not yet done, at most; 0: 1,024

	// DeadLetter is where events of routes are kept that don't say otherwise, and
	// messages that reach no route: malformed ones, crash loops and, with
	// KeepUnmatched, those whose type no route takes.
	DeadLetter    DeadLetter
	KeepUnmatched bool

	// StaleAfter is when silence becomes a [TypeStale] event for the routes, in Hours.
	StaleAfter StaleAfter
	Hours      Hours // when messages are to be expected; the zero value: always

	// Only for PubSub: what waits between Redis and the routes, whichever is full first.
	Queue      int      // events; 0: 65,536
	QueueBytes int      // bytes; 0: 32 MiB
	Overflow   Overflow // what is dropped then; empty: DropOldest

	// Only for Stream.
	Group      string        // consumer group; empty: Config.Service
	Like       string        // a new group begins where this one is, if there is one; else at Start
	Start      Start         // where a new group starts; empty: StartOldest
	MaxLen     int64         // approximate length kept when publishing; 0: 100,000
	ClaimAfter time.Duration // idle time after which a foreign consumer's entries are claimed; 0: 60 s
	// MaxDeliveries is how often an entry is delivered that was in hand whenever a
	// process died; then it is given up. 0: 5; negative: for ever.
	MaxDeliveries int
}

// Transport is how a channel is carried.
type Transport string

// The transports.
const (
	PubSub Transport = "pubsub" // now or never; every replica gets it
	Stream Transport = "stream" // kept until every group that reads it has handled it
)

// Start is where a new consumer group begins to read its stream.
type Start string

// The starting points.
const (
	StartOldest Start = "oldest" // with all that the stream still holds
	StartNew    Start = "new"    // with what is added from now on
	// StartLatest, on Pub/Sub, begins each connection with what [Latest] has kept.
	StartLatest Start = "latest"
)

// Fields says where the messages of a channel keep their standard fields. Each is a
// dotted path into the raw message; the zero value is CloudEvents' layout.
type Fields struct {
	Type        string // default "type"
	DefaultType string // for messages without a type; default: such a message is rejected
	ID          string // default "id"; a number becomes its text
	Time        string // default "time"; RFC 3339, or a number since 1970 in s, ms, µs or ns, by its magnitude
	Key         string // default none; a number becomes its text
	KeyFromName bool   // without Key: the Redis name is the key (patterns)
	Split       string // path of an array whose elements are the messages; "." is the message itself
	// Seq is where the producer counts its messages, for each key by itself; only for
	// PubSub, default none. Numbers that are missing are counted, and a [TypeGap] event tells.
	Seq      string
	MaxBytes int // larger messages are rejected; 0: 1 MiB
}

// HandlerSpec is a named handler to be made when the router starts.
type HandlerSpec struct {
	Name string
	Kind string // for logs and docs; may be empty
	// Revision stands for the kind's options: a reload keeps a handler whose Name, Kind and
	// Revision stay, and makes any other anew. Empty: always anew.
	Revision string
	// PublishesTo are the declared channels that the handler publishes to, as far as its
	// options say; for checks and pictures only.
	PublishesTo []string
	// Check tries what the handler works for, as "router check --connect" does: see [Kind].
	// Nil: there is nothing to try.
	Check func(ctx context.Context) (found string, err error)
	New   func(Env) (Handler, error)
}

// Route sends the events of one channel that match Types to one handler.
type Route struct {
	Name    string    // unique within its channel; empty: Handler
	Channel string    // Channel.Name
	Types   []string  // patterns as in ParseTypes
	Handler string    // HandlerSpec.Name
	When    Condition // nil: every event
	Policy  Policy
	// WhenText is what When was made from, so that a reload can tell whether it changed.
	WhenText string

	// Isolated gives the route a subscription of its own, so that no other route waits
	// for it: on a Stream in the group "<channel's group>.<Name>", which begins where the
	// channel's group is; on PubSub with a queue of its own.
	Isolated   bool
	Queue      int // only for an isolated route of a PubSub channel; 0: the channel's
	QueueBytes int // likewise
	Overflow   Overflow
}

// defaultMaxLen is Channel.MaxLen.
const defaultMaxLen = 100_000

// complete fills in what publishing to the channel needs.
func (ch *Channel) complete() {
	ch.Topic = or(ch.Topic, ch.Name)
	if ch.Transport == Stream && ch.MaxLen == 0 {
		ch.MaxLen = defaultMaxLen
	}
}

// normalize fills in defaults and checks what a Go program can get wrong. It returns
// all that is wrong at once.
func normalize(cfg Config) (Config, error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if cfg.Service == "" {
		cfg.Service = "router"
	}
	channels := map[string]*Channel{}
	cfg.Channels = slices.Clone(cfg.Channels)
	for i := range cfg.Channels {
		ch := &cfg.Channels[i]
		if ch.Name == "" || channels[ch.Name] != nil {
			fail("channel %q: the name is empty or declared twice", ch.Name)
		}
		channels[ch.Name] = ch
		ch.complete()
		ch.Group = or(ch.Group, cfg.Service)
		if err := ch.checkOverflow(); err != nil {
			fail("channel %q: %w", ch.Name, err)
		}
		if err := ch.checkSchemas(); err != nil {
			fail("channel %q: %w", ch.Name, err)
		}
		if ch.MaxDeliveries == 0 {
			ch.MaxDeliveries = defaultMaxDeliveries
		}
	}
	for i := range cfg.Channels {
		if _, err := deadLetters(cfg.Channels, &cfg.Channels[i], cfg.Channels[i].DeadLetter); err != nil {
			fail("channel %q: %w", cfg.Channels[i].Name, err)
		}
	}
	handlers := map[string]bool{}
	for _, h := range cfg.Handlers {
		if h.Name == "" || h.New == nil || handlers[h.Name] {
			fail("handler %q: the name or New is missing, or the name is declared twice", h.Name)
		}
		handlers[h.Name] = true
	}
	names := map[[2]string]bool{}
	cfg.Routes = slices.Clone(cfg.Routes)
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		r.Name = or(r.Name, r.Handler)
		ch := channels[r.Channel]
		if ch == nil {
			fail("route %q: channel %q is not declared", r.Name, r.Channel)
		}
		if !handlers[r.Handler] {
			fail("route %q: handler %q is not declared", r.Name, r.Handler)
		}
		if names[[2]string{r.Channel, r.Name}] {
			fail("route %q: channel %q has two routes of this name", r.Name, r.Channel)
		}
		names[[2]string{r.Channel, r.Name}] = true
		if err := r.Policy.normalize(); err != nil {
			fail("route %q: %w", r.Name, err)
		}
		if err := r.checkQueue(cfg.Channels); err != nil {
			fail("route %q: %w", r.Name, err)
		}
		if ch != nil {
			if _, err := deadLetters(cfg.Channels, ch, r.Policy.DeadLetter); err != nil {
				fail("route %q: %w", r.Name, err)
			}
		}
		if _, err := ParseTypes(r.Types...); err != nil {
			fail("route %q: %w", r.Name, err)
		}
	}
	errs = append(errs, checkGroups(cfg)...)
	return cfg, errors.Join(errs...)
}
