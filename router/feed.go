package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// feed is a subscriber and the Watermill router that reads it. It outlives reloads that
// don't change how it was opened; what it brings then goes to another subscription.
//
// A Watermill router for each: one for all would close when its last handler stops, and
// would not say when a handler that was taken out is through with its last message.
type feed struct {
	channel    Channel // as the subscriber was opened
	opened     Channel // the same, with its limits as they are now; reloads use it
	isolated   string
	now        func() time.Time
	subscriber message.Subscriber
	carrier    *message.Router
	messages   <-chan *message.Message // nil: not subscribed yet
	work       context.Context         //nolint:containedctx // of what it brings
	cancel     context.CancelFunc      // ends it
	stop       context.CancelFunc      // tells Watermill that the end is meant
	once       sync.Once
	closing    chan struct{} // closed when close begins
	ended      chan struct{} // closed when every message is through; nil: never started
	lost       atomic.Bool   // it reads nothing, and nobody meant that

	saying    atomic.Int64 // own events under way
	sequences sequences
	newest    newest

	mu   sync.RWMutex // held for reading while events go to their lanes
	to   *subscription
	mute bool // it says nothing of itself any more
}

func newFeed(s *subscription, subscriber message.Subscriber, opts Options) (*feed, error) {
	logger := errorsOnly{watermill.NewSlogLogger(opts.Logger.With("channel", s.channel.Name))}
	carrier, err := message.NewRouter(message.RouterConfig{CloseTimeout: opts.Drain + 2*cancelGrace}, logger)
	if err != nil {
		return nil, fmt.Errorf("make the Watermill router: %w", err)
	}
	return &feed{channel: s.channel, opened: s.channel, isolated: s.isolated, now: opts.Now, subscriber: subscriber, carrier: carrier, closing: make(chan struct{})}, nil
}

// errorsOnly passes on what went wrong. The rest of what Watermill says is about its own
// inside, and it gathers fields for several lines about each message.
type errorsOnly struct{ watermill.LoggerAdapter }

func (errorsOnly) Info(string, watermill.LogFields)  {}
func (errorsOnly) Debug(string, watermill.LogFields) {}
func (errorsOnly) Trace(string, watermill.LogFields) {}

func (l errorsOnly) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return errorsOnly{l.LoggerAdapter.With(fields)}
}

// opening is what of a channel its subscriber was opened for.
func opening(ch Channel) Channel {
	if ch.Name, ch.Description, ch.Types, ch.Schemas = "", "", nil, nil; ch.Overflow != NewestPerKey { // which looks at keys
		ch.Fields = Fields{}
	}
	ch.DeadLetter, ch.KeepUnmatched, ch.MaxLen, ch.MaxDeliveries = DeadLetter{}, false, 0, 0
	ch.Like, ch.StaleAfter, ch.Hours = "", StaleAfter{}, Hours{}
	if ch.Start != StartLatest {
		ch.Start = "" // of use only to a group that doesn't exist
	}
	return ch
}

// Limiter is a subscriber whose limits can change while it runs: InFlight, Queue,
// QueueBytes, Overflow with what it needs of Fields, and ClaimAfter. A reload opens any
// other subscriber anew when one of them changes.
type Limiter interface {
	message.Subscriber
	Limit(to Channel)
}

// Backlogger is a subscriber that knows what waits in it: how many messages are queued in
// this process, and how many were handed over and are not done.
type Backlogger interface {
	Backlog() (queued, inHand int)
}

// serves reports whether the feed is what a subscription would open.
func (f *feed) serves(s *subscription) bool {
	is, wanted := opening(f.opened), opening(s.channel)
	if _, may := f.subscriber.(Limiter); may {
		is, wanted = unlimited(is), unlimited(wanted)
	}
	return !f.lost.Load() && f.isolated == s.isolated && reflect.DeepEqual(is, wanted)
}

// unlimited is a channel without what a Limiter can change.
func unlimited(ch Channel) Channel {
	ch.InFlight, ch.Queue, ch.QueueBytes, ch.Overflow, ch.ClaimAfter, ch.Fields = 0, 0, 0, "", 0, Fields{}
	return ch
}

// subscribe makes the subscription. Messages wait until the feed is started.
func (f *feed) subscribe(work context.Context, log *slog.Logger) error {
	log.Debug("subscribing", "channel", f.channel.Name, "topic", f.channel.Topic)
	// Watermill cancels its handlers' contexts as soon as it stops, which is too early:
	// ours end when the drain does.
	f.work, f.cancel = context.WithCancel(work)
	messages, err := f.subscriber.Subscribe(f.work, f.channel.Topic)
	if err != nil {
		return fmt.Errorf("subscribe to channel %q (%s): %w", f.channel.Name, f.channel.Topic, err)
	}
	f.messages = messages
	return nil
}

// start brings messages to a subscription until the feed is closed. If it ends by
// itself, that is told to lost.
func (f *feed) start(to *subscription, log *slog.Logger, lost chan<- *feed) {
	carry, stop := context.WithCancel(context.WithoutCancel(f.work))
	f.stop, f.ended = stop, make(chan struct{})
	f.swap(to)
	f.carrier.AddConsumerHandler("feed", f.channel.Topic, subscribed{f.subscriber, f.messages}, func(msg *message.Message) error {
		return f.handle(f.work, msg)
	})
	go func() {
		if err := f.carrier.Run(carry); err != nil {
			log.Error("stopping the subscription failed", "channel", f.channel.Name, "err", err)
		}
		close(f.ended)
		select {
		case lost <- f:
		case <-f.closing:
		}
	}()
	<-f.carrier.Running()
}

// subscribed is a subscriber that has subscribed already.
type subscribed struct {
	message.Subscriber
	messages <-chan *message.Message
}

func (s subscribed) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return s.messages, nil
}

// handle takes over what a Watermill message carries. A batch is done when each of
// its items is; a message from any other subscriber is acked when its event is done.
func (f *feed) handle(ctx context.Context, msg *message.Message) error {
	if ctx.Err() != nil { // a subscriber that still delivers at the end of the drain
		return ctx.Err()
	}
	if b := batch.FromContext(msg.Context()); b != nil {
		f.dispatch(ctx, nil, b.Take())
		return nil
	}
	done := make(signal)
	topic := or(message.SubscribeTopicFromCtx(msg.Context()), f.channel.Topic)
	item := &batch.Item{Topic: topic, ID: msg.UUID, Time: f.now(), Payload: msg.Payload, Owner: done}
	f.dispatch(ctx, msg, []*batch.Item{item})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signal is the owner of a message that did not come in a batch.
type signal chan struct{}

// Done closes the signal.
func (s signal) Done(*batch.Item) { close(s) }

func (f *feed) dispatch(ctx context.Context, foreign *message.Message, items []*batch.Item) {
	f.mu.RLock()
	to := f.to
	letters := to.dispatch(ctx, foreign, items)
	f.mu.RUnlock()
	to.keeper.settle(ctx, letters) // until then nothing more is read
}

// swap gives what the feed brings to another subscription. When it returns, nothing more
// goes to the lanes of the old one.
func (f *feed) swap(to *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.to != nil && !sameNumbers(f.to.channel.Fields, to.channel.Fields) {
		f.sequences, f.newest = sequences{}, newest{}
	}
	f.to = to
	if subscriber, may := f.subscriber.(Limiter); may && !reflect.DeepEqual(opening(f.opened), opening(to.channel)) {
		subscriber.Limit(to.channel)
		f.opened = to.channel
	}
}

// close ends the subscription, which may first work off what it has queued, and returns
// when every message is through, if need be because work is canceled.
func (f *feed) close(log *slog.Logger) {
	f.once.Do(func() {
		close(f.closing)
		if f.stop != nil {
			f.stop() // so that Watermill doesn't take the end of the subscription for an error
		}
		if err := f.subscriber.Close(); err != nil && !errors.Is(err, context.Canceled) {
			log.Error("closing the subscriber failed", "channel", f.channel.Name, "err", err)
		}
	})
	if f.ended != nil {
		<-f.ended
	}
}
