package handlers

import (
	"context"
	"errors"

	"signalbox/router"
)

// PublishOptions are the options of the kind publish.
type PublishOptions struct {
	Channel string `toml:"channel" required:"true" doc:"name of the declared channel to forward to"`
}

// Validate reports a missing channel.
func (o PublishOptions) Validate() error {
	if o.Channel == "" {
		return errors.New(`channel is missing; name the declared channel to forward to, as in channel = "stock"`)
	}
	return nil
}

// PublishesTo names the channel, so that a cycle is found when the configuration is loaded.
func (o PublishOptions) PublishesTo() []string { return []string{o.Channel} }

// Publish is the kind that forwards events to a declared channel, their bytes unchanged.
//
// A type that the channel doesn't take, or a channel that nobody can publish to, is a
// [router.Permanent] error. Any other error is [router.Unavailable]: the fault is the
// target's, and the event is as good as before.
func Publish() router.Kind[PublishOptions] {
	return router.Kind[PublishOptions]{
		Name: "publish",
		Doc:  "Forwards events to a declared channel, their bytes unchanged.",
		Pure: true,
		New: func(env router.Env, options PublishOptions) (router.Handler, error) {
			if err := options.Validate(); err != nil {
				return nil, err
			}
			return &forwarder{publisher: env.Publisher, channel: options.Channel}, nil
		},
	}
}

// forwarder takes batches: what waits is sent in one go.
type forwarder struct {
	publisher *router.Publisher
	channel   string
}

// Handle forwards one event.
func (f *forwarder) Handle(ctx context.Context, event *router.Event) error {
	if verdicts := f.HandleBatch(ctx, []*router.Event{event}); verdicts != nil {
		return verdicts[0]
	}
	return nil
}

// HandleBatch forwards events in order.
func (f *forwarder) HandleBatch(ctx context.Context, events []*router.Event) []error {
	verdicts := f.publisher.Forward(ctx, f.channel, events)
	for i, err := range verdicts {
		verdicts[i] = forwardVerdict(err)
	}
	return verdicts
}

func forwardVerdict(err error) error {
	if _, away := router.IsUnavailable(err); away || router.IsPermanent(err) {
		return err
	}
	// A shutdown says nothing of the target.
	if errors.Is(err, context.Canceled) {
		return err
	}
	return router.Unavailable(err, 0)
}
