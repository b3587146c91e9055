package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// DecodeJSON returns Watermill middleware that turns the messages of a channel into
// events. What follows finds the event with [EventFrom]; a channel that is split
// calls it once per element. A message that cannot be an event ends here with a
// [*Malformed] error.
func DecodeJSON(ch Channel) message.HandlerMiddleware {
	d := newDecoder(ch)
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) { return d.decode(msg, next) }
	}
}

func (d *decoder) decode(msg *message.Message, next message.HandlerFunc) ([]*message.Message, error) {
	carrier := deliveryFrom(msg.Context())
	in := Message{Payload: msg.Payload}
	if carrier != nil && carrier.ticket != nil {
		item := carrier.ticket.item
		in.Name, in.ID, in.Time, in.Twice = item.Topic, item.ID, item.Time, item.Twice
		carrier.event.Replayed = item.Kept
		if replay := item.Replay; replay != nil {
			in.ID = or(replay.ID, in.ID)
			if !replay.Time.IsZero() {
				in.Time = replay.Time
			}
		}
	} else {
		carrier = newDelivery(msg.Context(), nil, msg.Payload)
		in.Name, in.ID, in.Time = message.SubscribeTopicFromCtx(msg.Context()), msg.UUID, time.Now()
	}
	if carrier.event.Replayed { // an element of an array was kept by itself
		return d.decodeOne(msg, carrier, in, next)
	}
	parts, split, err := d.split(in)
	if err != nil {
		return nil, err
	}
	if split {
		return d.decodeParts(msg, carrier, parts, next)
	}
	return d.decodeOne(msg, carrier, in, next)
}

func (d *decoder) decodeOne(msg *message.Message, carrier *delivery, in Message, next message.HandlerFunc) ([]*message.Message, error) {
	if err := d.event(&carrier.event, in); err != nil {
		return nil, err
	}
	if ctx := msg.Context(); ctx != context.Context(&carrier.ctx) && deliveryFrom(ctx) == carrier {
		// Middleware has set values, which the handler shall find. Its deadline, however,
		// ends with the middleware, and the event is handled later.
		carrier.msg.SetContext(&deliveryContext{Context: carrier.ctx.Context, values: ctx, delivery: carrier})
		msg.SetContext(carrier.msg.Context())
	} else {
		msg.SetContext(&carrier.ctx)
	}
	return next(msg)
}

func (d *decoder) decodeParts(msg *message.Message, carrier *delivery, parts []Message, next message.HandlerFunc) ([]*message.Message, error) {
	var (
		produced []*message.Message
		errs     partErrors
	)
	values := carrier.ctx.values
	if ctx := msg.Context(); ctx != context.Context(&carrier.ctx) && deliveryFrom(ctx) == carrier {
		values = ctx
	}
	for _, p := range parts {
		element := newDelivery(carrier.ctx.Context, values, p.Payload)
		element.ticket, element.batch = carrier.ticket, carrier.batch
		element.msg.UUID, element.msg.Metadata = msg.UUID, msg.Metadata
		out, err := d.decodeOne(&element.msg, element, p, next)
		if err != nil {
			errs = append(errs, &partError{err, &element.msg})
			continue
		}
		produced = append(produced, out...)
	}
	if len(errs) > 0 {
		return produced, errs
	}
	return produced, nil
}

// partErrors are the errors of some elements of an array.
type partErrors []*partError

// partError is the error of an element, and the message that the element became.
type partError struct {
	error
	msg *message.Message
}

func (e *partError) Unwrap() error { return e.error }

func (e partErrors) Error() string { return errors.Join(e.Unwrap()...).Error() }

func (e partErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, part := range e {
		errs[i] = part
	}
	return errs
}

// each returns the errors that err on msg consists of: those of an array's elements,
// or itself.
func each(msg *message.Message, err error) []*partError {
	if parts, ok := errors.AsType[partErrors](err); ok {
		return parts
	}
	return []*partError{{err, msg}}
}

// FilterTypes returns Watermill middleware that lets the events of a set pass. Others,
// and messages that no [DecodeJSON] decoded, end here as handled.
//
// The [Router] doesn't use it: its table gives the same answer for all routes of a
// channel at once, and both ask [TypeSet].
func FilterTypes(set TypeSet) message.HandlerMiddleware {
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			if event := EventFrom(msg.Context()); event == nil || !set.Match(event.Type) {
				return nil, nil
			}
			return next(msg)
		}
	}
}

// PanicError is a handler's panic, as [Recover] returns it.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Recover is Watermill middleware that turns a panic into a [*PanicError].
func Recover(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) (produced []*message.Message, err error) {
		defer recovered(&err)
		return next(msg)
	}
}

// recovered turns a panic into an error; for defer.
func recovered(err *error) {
	if value := recover(); value != nil {
		*err = &PanicError{Value: value, Stack: debug.Stack()}
	}
}

// LogErrors returns Watermill middleware that logs every error with the channel,
// type, id and trace id of its event. An error that trying again cannot mend ([*Malformed] or
// [Permanent]) ends here, so that Watermill acks the message; any other is returned,
// so that Watermill nacks it.
func LogErrors(log *slog.Logger) message.HandlerMiddleware {
	return func(next message.HandlerFunc) message.HandlerFunc {
		next = logged(log)(next)
		return func(msg *message.Message) ([]*message.Message, error) {
			produced, err := next(msg)
			if err == nil || slices.ContainsFunc(each(msg, err), mendable) {
				return produced, err
			}
			if _, ok := errors.AsType[partErrors](err); ok {
				return produced, nil // of the other elements
			}
			return nil, nil
		}
	}
}

// mendable reports whether trying again may help.
func mendable(err *partError) bool {
	_, bad := AsMalformed(err)
	return !bad && !IsPermanent(err)
}

// logged logs errors and passes them on. That a context ended at shutdown is none.
func logged(log *slog.Logger) message.HandlerMiddleware {
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			produced, err := next(msg)
			if err != nil && !interrupted(msg.Context(), err) {
				for _, part := range each(msg, err) {
					logError(log, part.msg, part.error)
				}
			}
			return produced, err
		}
	}
}

func logError(log *slog.Logger, msg *message.Message, err error) {
	ctx := msg.Context()
	if m, bad := AsMalformed(err); bad && EventFrom(ctx) == nil {
		log.WarnContext(ctx, "message rejected", "channel", or(message.SubscribeTopicFromCtx(ctx), "?"), "cause", string(m.Cause), "err", err)
		return
	}
	var attrs []any
	if event := EventFrom(ctx); event != nil {
		attrs = eventAttrs(event)
	}
	attrs = append(attrs, "err", err)
	if panicked, ok := errors.AsType[*PanicError](err); ok {
		attrs = append(attrs, "stack", string(panicked.Stack))
	}
	log.ErrorContext(ctx, "handler failed", attrs...)
}

// HandleEvents makes a handler usable on any Watermill router, as a consumer behind
// [DecodeJSON].
func HandleEvents(h Handler) message.NoPublishHandlerFunc {
	return func(msg *message.Message) error {
		event := EventFrom(msg.Context())
		if event == nil {
			return Permanent(errors.New("no event in the message's context: add DecodeJSON before this handler"))
		}
		return h.Handle(msg.Context(), event)
	}
}
