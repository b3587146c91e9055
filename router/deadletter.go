package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
	"signalbox/router/internal/failpoint"
)

const (
	// deadSuffix makes the Redis name of a channel's own dead letters from the channel's.
	deadSuffix = ".dead"
	// keepPause and keepMaxPause are between attempts to write a dead letter.
	keepPause    = 100 * time.Millisecond
	keepMaxPause = 5 * time.Second
	maxErrorText = 1 << 10 // bytes of an error that a dead letter tells
	// defaultMaxDeliveries is Channel.MaxDeliveries.
	defaultMaxDeliveries = 5
)

// DeadLetter says where events are kept that were given up. The zero value is the
// default: a route does as its channel says; a stream keeps them, Pub/Sub does not.
type DeadLetter struct {
	Off     bool   // they are logged and counted only
	On      bool   // in the stream "<Channel.Topic>.dead", trimmed to about Channel.MaxLen or 100,000
	Channel string // in this declared channel, a stream
}

// deadLetters is the channel that keeps what is given up on ch, by ch's own setting or
// by that of one of its routes; nil: none does.
func deadLetters(channels []Channel, ch *Channel, set DeadLetter) (*Channel, error) {
	if set == (DeadLetter{}) {
		set = ch.DeadLetter
	}
	switch {
	case set.Channel != "":
		i := slices.IndexFunc(channels, func(to Channel) bool { return to.Name == set.Channel })
		switch {
		case i < 0:
			return nil, fmt.Errorf("dead letters go to channel %q, which is not declared", set.Channel)
		case channels[i].Transport != Stream || channels[i].Pattern:
			return nil, fmt.Errorf("dead letters go to channel %q, which is no stream and would not keep them", set.Channel)
		case channels[i].Topic == ch.Topic && ch.Transport == Stream:
			return nil, fmt.Errorf("dead letters of channel %q would come back to it", ch.Name)
		}
		return &channels[i], nil
	case set.Off, !set.On && ch.Transport != Stream:
		return nil, nil //nolint:nilnil // none is an answer
	case ch.Pattern:
		return nil, fmt.Errorf("channel %q is the pattern %q, which has no one stream beside it; name a channel for its dead letters", ch.Name, ch.Topic)
	}
	maxLen := cmp.Or(ch.MaxLen, defaultMaxLen) // a Pub/Sub channel has none
	return &Channel{Name: ch.Name + deadSuffix, Transport: Stream, Topic: ch.Topic + deadSuffix, MaxLen: maxLen}, nil
}

// DeadLetters are the streams that may hold dead letters of a channel: where the channel
// keeps them, then where its routes do. There are none when nobody keeps any, or when
// there is no such channel.
func (cfg Config) DeadLetters(channel string) []Channel {
	var places []Channel
	add := func(place Channel, ok bool) {
		if ok && !slices.ContainsFunc(places, func(p Channel) bool { return p.Topic == place.Topic }) {
			places = append(places, place)
		}
	}
	add(cfg.DeadLettersOf(Route{Channel: channel}))
	for _, r := range cfg.Routes {
		if r.Channel == channel {
			add(cfg.DeadLettersOf(r))
		}
	}
	return places
}

// DeadLettersOf is the stream that keeps what a route gives up; false when none does.
func (cfg Config) DeadLettersOf(route Route) (Channel, bool) {
	i := slices.IndexFunc(cfg.Channels, func(ch Channel) bool { return ch.Name == route.Channel })
	if i < 0 {
		return Channel{}, false
	}
	from := cfg.Channels[i]
	from.Topic = or(from.Topic, from.Name)
	to, err := deadLetters(cfg.Channels, &from, route.Policy.DeadLetter)
	if err != nil || to == nil {
		return Channel{}, false
	}
	place := *to
	place.Topic = or(place.Topic, place.Name)
	return place, true
}

// keepsDeadLetters reports whether cfg asks for dead letters, beyond the default.
func keepsDeadLetters(cfg Config) bool {
	asked := func(set DeadLetter) bool { return set.On || set.Channel != "" }
	return slices.ContainsFunc(cfg.Channels, func(ch Channel) bool { return asked(ch.DeadLetter) || ch.KeepUnmatched }) ||
		slices.ContainsFunc(cfg.Routes, func(r Route) bool { return asked(r.Policy.DeadLetter) })
}

// Reason is why an event was given up.
type Reason string

// The reasons. The first four are a route's, the others concern the whole message.
const (
	ReasonFailed    Reason = "failed"     // all attempts failed
	ReasonPermanent Reason = "permanent"  // trying again cannot mend it
	ReasonTimeout   Reason = "timeout"    // the last attempt took too long
	ReasonPanic     Reason = "panic"      // the handler panicked or ended its goroutine
	ReasonMalformed Reason = "malformed"  // the message is no event
	ReasonUnmatched Reason = "unmatched"  // no route takes its type
	ReasonCrashLoop Reason = "crash_loop" // it was delivered more than Channel.MaxDeliveries times
)

// Reasons are all of them.
func Reasons() []Reason {
	return []Reason{
		ReasonFailed, ReasonPermanent, ReasonTimeout, ReasonPanic,
		ReasonMalformed, ReasonUnmatched, ReasonCrashLoop,
	}
}

// reasonOf is why a route gave up with err.
func reasonOf(err error) Reason {
	var late *timeoutError
	var panicked *PanicError
	switch {
	case errors.As(err, &late), errors.Is(err, errAbandoned):
		return ReasonTimeout
	case errors.As(err, &panicked), errors.Is(err, errExited):
		return ReasonPanic
	case IsPermanent(err):
		return ReasonPermanent
	default:
		return ReasonFailed
	}
}

// timeoutError is the verdict of an attempt that took too long.
type timeoutError struct {
	timeout time.Duration
	err     error
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("no result within the timeout of %v: %v", e.timeout, e.err)
}

func (e *timeoutError) Unwrap() error { return e.err }

// letter is an event, or a message that is none, that was given up.
type letter struct {
	to       *Channel // where it is kept; nil: nowhere
	reason   Reason
	err      error
	channel  *Channel
	route    *route // nil: it reached none
	event    *Event // nil: it is none
	payload  []byte
	item     *batch.Item
	ticket   *ticket
	attempts int
	first    time.Time // when an attempt failed first; zero: only now
	done     func(kept bool)
	cut      func(err error) // the drain ended before it could be written
}

// keeper writes dead letters. An event is not done before its letter is.
type keeper struct {
	service string
	open    func(Channel) (message.Publisher, error)
	log     *slog.Logger
	now     func() time.Time
	tell    func(*letter) // of each that was written

	mu         sync.Mutex
	publishers map[place]message.Publisher
}

// place is where letters are kept, and how many.
type place struct {
	topic  string
	maxLen int64
}

// settle writes letters, however long that takes, and completes their events. When
// work ends first, what could not be written stays undone: a stream has it still.
func (k *keeper) settle(work context.Context, letters []letter) {
	for len(letters) > 0 {
		var same, others []letter
		for _, l := range letters {
			if l.to == letters[0].to {
				same = append(same, l)
			} else {
				others = append(others, l)
			}
		}
		if same[0].to == nil {
			for _, l := range same {
				l.complete(false)
			}
		} else {
			k.keep(work, same)
		}
		letters = others
	}
}

func (l *letter) complete(kept bool) {
	l.done(kept)
	l.ticket.release()
}

// keep writes letters to the one place that they all go to.
func (k *keeper) keep(work context.Context, letters []letter) {
	to := letters[0].to
	retry := Retry{Backoff: keepPause, MaxBackoff: keepMaxPause}
	for failures := 0; ; failures++ {
		left, err := k.write(work, to, letters)
		if len(left) == 0 {
			return
		}
		letters = left
		if work.Err() == nil {
			k.log.Error("dead letters cannot be written; their events wait", "channel", letters[0].channel.Name, "dead_letter", to.Topic, "err", err)
			sleep(work, retry.pause(failures))
		}
		if work.Err() != nil {
			for _, l := range letters {
				l.cut(err)
				l.ticket.leave()
			}
			return
		}
	}
}

// write tries once, completes what was written and returns the rest.
func (k *keeper) write(work context.Context, to *Channel, letters []letter) (left []letter, err error) {
	publisher, err := k.publisher(*to)
	if err != nil {
		return letters, err
	}
	msgs := make([]*message.Message, len(letters))
	for i := range letters {
		msgs[i] = k.message(work, &letters[i])
	}
	err = publisher.Publish(to.Topic, msgs...)
	failpoint.Hit(failpoint.AfterDead)
	if failpoint.Broken(failpoint.IgnoreDead) {
		err = nil
	}
	var each batch.Errors
	if partly := errors.As(err, &each) && len(each) == len(letters); err != nil && !partly {
		return letters, err
	}
	for i := range letters {
		if each != nil && each[i] != nil {
			left = append(left, letters[i])
		} else {
			k.tell(&letters[i])
			letters[i].complete(true)
		}
	}
	return left, err
}

func (k *keeper) publisher(to Channel) (message.Publisher, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := place{to.Topic, to.MaxLen}
	if p := k.publishers[at]; p != nil {
		return p, nil
	}
	p, err := k.open(to)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", to.Topic, err)
	}
	k.publishers[at] = p
	return p, nil
}

// message is the original bytes; what is known about them is metadata, which a
// stream's entry has as plain fields.
func (k *keeper) message(ctx context.Context, l *letter) *message.Message {
	now := k.now()
	if l.first.IsZero() {
		l.first = now
	}
	about := message.Metadata{
		"reason": string(l.reason), "error": shortened(plainText(l.err.Error()), maxErrorText),
		"service": k.service, "channel": l.channel.Name, "name": l.item.Topic,
		"attempts":   strconv.Itoa(l.attempts),
		"first_time": l.first.UTC().Format(time.RFC3339Nano), "last_time": now.UTC().Format(time.RFC3339Nano),
	}
	id := l.item.ID
	if l.channel.Transport == Stream {
		about["group"], about["entry"] = l.channel.Group, l.item.ID
	}
	if l.route != nil {
		about["route"], about["handler"] = l.route.Name, l.route.Handler
	}
	if l.event != nil {
		id = l.event.ID
		about["type"], about["id"], about["time"] = plainText(l.event.Type), plainText(id), l.event.Time.UTC().Format(time.RFC3339Nano)
		if l.event.Key != "" {
			about["key"] = plainText(l.event.Key)
		}
		if trace := l.event.TraceID(); trace != "" {
			about["trace_id"] = trace
		}
	}
	if replay := l.item.Replay; replay != nil {
		about["replays"] = strconv.Itoa(replay.Count)
	}
	msg := message.NewMessageWithContext(ctx, or(id, newID()), l.payload)
	msg.Metadata = about
	return msg
}

// plainText is text that every Redis client can read.
func plainText(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
