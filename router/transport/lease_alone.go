package transport

import (
	"context"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// alone begins a term without a lease. Its epoch comes from the clock of Redis, so it grows
// with each term of this process, and with others' as long as nobody sets that clock.
func (l *Lease) alone(ctx context.Context) (*Term, error) {
	var refused episode
	for {
		now, err := l.time(ctx)
		l.report(ctx, &refused, err)
		if err == nil {
			epoch := l.r.epochs.next(l.cfg.Source, now.Unix())
			t := &Term{
				l: l, grant: batch.Grant{Epoch: epoch, Orderly: true, Silent: -1},
				done: make(chan struct{}), released: make(chan struct{}),
			}
			t.outlet = l.plain()
			return t, nil
		}
		if !l.r.pauseOpen(ctx, jitter(watchMost)) {
			return nil, l.r.leaseEnded(ctx, l.cfg.Source)
		}
	}
}

func (l *Lease) time(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	return l.r.writer.Time(ctx).Result()
}

// next is an epoch that is higher than any this process has had.
func (e *epochs) next(source string, seconds int64) int64 {
	epoch := max(e.known(source)+1, seconds)
	e.learn(source, epoch)
	return epoch
}

// plain is the outlet of who holds no lease: the publishers that everybody has. What was
// sent and not answered is sent again by the next attempt, and is there twice then.
type plain struct {
	of func(ctx context.Context, msgs []*message.Message) error
}

func (l *Lease) plain() plain {
	if l.cfg.Stream {
		p := l.r.StreamPublisher(l.cfg.MaxLen)
		return plain{func(ctx context.Context, msgs []*message.Message) error {
			_, err := p.Send(ctx, l.cfg.Topic, msgs...)
			return err
		}}
	}
	p := l.r.PubSubPublisher()
	return plain{func(ctx context.Context, msgs []*message.Message) error {
		_, err := p.Send(ctx, l.cfg.Topic, msgs...)
		return err
	}}
}

func (p plain) send(ctx context.Context, _ int64, messages []batch.Outgoing) (int, error) {
	msgs := make([]*message.Message, len(messages))
	for i := range messages {
		msgs[i] = message.NewMessage(messages[i].ID, messages[i].Payload)
	}
	err := p.of(ctx, msgs)
	if err == nil {
		return len(messages), nil
	}
	each, some := errors.AsType[batch.Errors](err)
	if !some {
		return 0, err
	}
	sent := 0
	for sent < len(each) && each[sent] == nil {
		sent++
	}
	return sent, err
}
