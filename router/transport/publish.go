package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/batch"
	"signalbox/router/internal/failpoint"
)

const (
	publishSlice = 256             // commands in one pipeline
	publishFor   = 3 * time.Second // how long failed commands are tried again
)

// PubSubPublisher sends messages with PUBLISH. It is a message.Publisher.
type PubSubPublisher struct {
	r      *Redis
	sender combiner
	closed atomic.Bool
}

// PubSubPublisher returns a publisher to Pub/Sub channels; metadata is not sent.
func (r *Redis) PubSubPublisher() *PubSubPublisher {
	return &PubSubPublisher{r: r, sender: combiner{client: r.writer}}
}

// Publish sends msgs in order, for as long as the first one's context lasts; see
// [PubSubPublisher.Send].
func (p *PubSubPublisher) Publish(topic string, msgs ...*message.Message) error {
	_, err := p.Send(contextOf(msgs), topic, msgs...)
	return err
}

// Send sends msgs in order and returns how many subscribers got each. What certainly
// was not sent is tried again for 3 s; what may have been sent is not. The error is
// batch.Errors, one per message, unless nothing was tried at all.
func (p *PubSubPublisher) Send(ctx context.Context, topic string, msgs ...*message.Message) ([]int64, error) {
	if p.closed.Load() {
		return nil, fmt.Errorf("publish to %q: %w", topic, ErrClosed)
	}
	receivers := make([]int64, len(msgs))
	errs := p.r.send(ctx, &p.sender, len(msgs), notSent, func(i int) (redis.Cmder, func(), error) {
		cmd := redis.NewIntCmd(ctx, "publish", topic, []byte(msgs[i].Payload))
		return cmd, func() { receivers[i] = cmd.Val() }, nil
	})
	return receivers, wrap(errs, topic)
}

// Close ends the publisher and leaves the client open.
func (p *PubSubPublisher) Close() error {
	p.closed.Store(true)
	return nil
}

// StreamPublisher adds messages to streams with XADD. It is a message.Publisher.
type StreamPublisher struct {
	r      *Redis
	sender combiner
	maxLen int64
	closed atomic.Bool
}

// StreamPublisher returns a publisher to streams, which are trimmed to about maxLen
// entries; 0: never.
//
// Entries have the layout of watermill-redisstream, but metadata goes into fields of
// its own: Python clients with decode_responses fail on msgpack.
func (r *Redis) StreamPublisher(maxLen int64) *StreamPublisher {
	return &StreamPublisher{r: r, sender: combiner{client: r.writer}, maxLen: maxLen}
}

// Publish adds msgs in order, for as long as the first one's context lasts; see
// [StreamPublisher.Send].
func (p *StreamPublisher) Publish(topic string, msgs ...*message.Message) error {
	_, err := p.Send(contextOf(msgs), topic, msgs...)
	return err
}

// Send adds msgs in order and returns the entries' ids. What failed is tried again
// for 3 s, also when it may have been stored: a stream is at least once, and
// duplicates carry the same event id. The error is batch.Errors, one per message,
// unless nothing was tried at all.
func (p *StreamPublisher) Send(ctx context.Context, topic string, msgs ...*message.Message) ([]string, error) {
	if p.closed.Load() {
		return nil, fmt.Errorf("publish to %q: %w", topic, ErrClosed)
	}
	ids := make([]string, len(msgs))
	again := func(err error) bool { return notSent(err) || unknownOutcome(err) }
	errs := p.r.send(ctx, &p.sender, len(msgs), again, func(i int) (redis.Cmder, func(), error) {
		values, err := entryFields(msgs[i])
		if err != nil {
			return nil, nil, err
		}
		if failpoint.Broken(failpoint.RetryNewID) {
			msgs[i].Payload = bytes.Replace(msgs[i].Payload, []byte(`"id":`), []byte(`"_":`), 1)
		}
		args := []any{"xadd", topic}
		if p.maxLen > 0 {
			args = append(args, "maxlen", "~", p.maxLen)
		}
		cmd := redis.NewStringCmd(ctx, append(append(args, "*"), values...)...)
		return cmd, func() { ids[i] = cmd.Val() }, nil
	})
	return ids, wrap(errs, topic)
}

// Close ends the publisher and leaves the client open.
func (p *StreamPublisher) Close() error {
	p.closed.Store(true)
	return nil
}

func contextOf(msgs []*message.Message) context.Context {
	if len(msgs) == 0 {
		return context.Background()
	}
	return msgs[0].Context()
}

// entryFields returns the fields and values of the entry that carries msg: those that
// watermill-redisstream's marshaller gives to a message without metadata, and the metadata.
func entryFields(msg *message.Message) ([]any, error) {
	fields := make([]any, 0, 6+2*len(msg.Metadata))
	fields = append(fields, uuidField, msg.UUID, metadataField, "", payloadField, []byte(msg.Payload))
	if len(msg.Metadata) == 0 { // as usual
		return fields, nil
	}
	for _, name := range slices.Sorted(maps.Keys(msg.Metadata)) {
		if name == uuidField || name == metadataField || name == payloadField {
			return nil, fmt.Errorf("metadata %q has the name of a field that every entry has", name)
		}
		fields = append(fields, name, msg.Metadata[name])
	}
	return fields, nil
}

// send runs n commands in pipelines, in order, and those again that failed with an
// error that again accepts. command makes command i, and what reads its reply.
func (r *Redis) send(ctx context.Context, by *combiner, n int, again func(error) bool,
	command func(i int) (cmd redis.Cmder, read func(), err error),
) batch.Errors {
	errs := make(batch.Errors, n)
	for from := 0; from < n; from += publishSlice {
		left := make([]int, 0, publishSlice)
		for i := from; i < min(n, from+publishSlice); i++ {
			left = append(left, i)
		}
		deadline := time.Now().Add(publishFor)
		for retry := (backoff{}); ; {
			left = r.sendOnce(ctx, by, left, errs, again, command)
			wait := retry.next()
			if len(left) == 0 || time.Now().Add(wait).After(deadline) || !r.pauseOpen(ctx, wait) {
				break
			}
		}
		if len(left) > 0 { // what comes after must not overtake it
			for i := from + publishSlice; i < n; i++ {
				errs[i] = errs[left[0]]
			}
			break
		}
	}
	return errs
}

// sendOnce runs the commands of left in one pipeline, perhaps with those of other callers,
// notes their errors, and returns those to be tried again.
func (r *Redis) sendOnce(ctx context.Context, by *combiner, left []int, errs batch.Errors, again func(error) bool,
	command func(i int) (cmd redis.Cmder, read func(), err error),
) []int {
	sent := make([]int, 0, len(left))
	cmds := make([]redis.Cmder, 0, len(left))
	reads := make([]func(), 0, len(left))
	for _, i := range left {
		cmd, read, err := command(i)
		if errs[i] = err; err == nil {
			sent, cmds, reads = append(sent, i), append(cmds, cmd), append(reads, read)
		}
	}
	if len(sent) == 0 {
		return nil
	}
	ended := by.send(ctx, cmds)
	var failed []int
	for k, i := range sent {
		if errs[i] = ended; ended == nil {
			errs[i] = cmds[k].Err()
		}
		if errs[i] == nil {
			reads[k]()
		} else if again(errs[i]) {
			failed = append(failed, i)
		}
	}
	if !slices.ContainsFunc(sent, func(i int) bool { return errs[i] != nil && !isReply(errs[i]) }) {
		r.link.up() // what is not tried again may have failed, too
	}
	return failed
}

// wrap returns nil when nothing failed.
func wrap(errs batch.Errors, topic string) error {
	if errors.Join(errs...) == nil {
		return nil
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("publish to %q: %w", topic, err)
		}
	}
	return errs
}
