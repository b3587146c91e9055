package transport

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"signalbox/router/internal/batch"
	"signalbox/router/internal/failpoint"
)

const (
	leaseSlice = 1000    // messages of one call of the script
	leaseBytes = 1 << 20 // likewise, if there are several
)

// Publish sends messages, in order, while this process holds the source: Redis itself
// refuses what comes from one that doesn't. An error that wraps [ErrNotHeld] says that
// nothing was sent any more, and Done is closed.
//
// After any other error the same messages may be published again, with more behind them,
// and what was sent is not sent twice: those that are certain are left out, and those
// whose outcome is unknown keep their number, which Redis knows. Other messages are new
// ones. Two faults at once can send a batch twice: the answer is lost, and Redis loses its
// data before the next attempt.
func (t *Term) Publish(ctx context.Context, messages []batch.Outgoing) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.held() {
		return t.lost()
	}
	rest := messages[t.p.resume(messages):]
	for len(rest) > 0 {
		slice := t.p.slice(rest)
		sent, err := t.outlet.send(ctx, t.p.number, rest[:slice])
		held := t.held()
		rest = rest[sent:]
		if err == nil && !held && len(rest) > 0 {
			err = t.lost()
		}
		if err != nil {
			t.p.failed(messages, len(messages)-len(rest), slice-sent)
			if t.client == nil { // the publishers that everybody has say so themselves
				return err
			}
			return fmt.Errorf("publish to %q: %w", t.l.cfg.Topic, err)
		}
	}
	t.p.succeeded()
	return nil
}

// course is how far publishing has come: batches have numbers, from 1.
type course struct {
	number    int64        // of the last batch that was tried
	confirmed atomic.Int64 // of the last one that was published
	published atomic.Int64 // until when all is, by the clock of Redis in ms; 0: nothing in this term
	clock     *reading     // the last one; nil: none in this term

	messages []batch.Outgoing // of a call that failed; its batches go on with
	sent     int              // so many of them are certain
	doubtful int              // so many after them have the number already
}

// resume returns how many of the messages were sent by a call that failed.
func (p *course) resume(messages []batch.Outgoing) int {
	if !begins(messages, p.messages[:p.sent]) {
		p.sent, p.doubtful = 0, 0
		return 0
	}
	if !begins(messages[p.sent:], p.messages[p.sent:p.sent+p.doubtful]) {
		p.doubtful = 0
	}
	return p.sent
}

// slice returns how many messages make the next batch, and gives it a number.
func (p *course) slice(rest []batch.Outgoing) int {
	if n := p.doubtful; n > 0 {
		p.doubtful = 0
		return n
	}
	p.number++
	n, size := 0, 0
	for n < min(len(rest), leaseSlice) && (n == 0 || size+len(rest[n].Payload) <= leaseBytes) {
		size += len(rest[n].Payload)
		n++
	}
	return n
}

func (p *course) failed(messages []batch.Outgoing, sent, doubtful int) {
	p.messages, p.sent, p.doubtful = slices.Clone(messages), sent, doubtful
}

func (p *course) succeeded() { p.messages, p.sent, p.doubtful = nil, 0, 0 }

// known returns what a record that is made again must have: the number of the last batch,
// and when it was published.
func (p *course) known() (number int64, published string) {
	if at := p.published.Load(); at > 0 {
		published = strconv.FormatInt(at, 10)
	}
	return p.confirmed.Load(), published
}

// reading is what the clock of Redis has shown, at that moment or a little before.
type reading struct {
	ms int64
	at time.Time
}

// heard is a moment as the scripts want it: by the clock of Redis, as far as that is known, or
// how long ago it was. What Redis does late must not be taken for what is new.
func (p *course) heard(at time.Time) int64 {
	switch {
	case at.IsZero():
		return 0
	case p.clock == nil:
		return min(0, time.Until(at).Milliseconds())
	}
	return p.clock.ms + at.Sub(p.clock.at).Milliseconds()
}

// read notes what the clock of Redis shows, and returns what the script has noted.
func (p *course) read(ms, heard int64) int64 {
	p.clock = &reading{ms, time.Now()}
	if heard <= 0 {
		heard += ms
	}
	return min(heard, ms)
}

// begins reports whether messages begin with those.
func begins(messages, with []batch.Outgoing) bool {
	return len(messages) >= len(with) && slices.EqualFunc(messages[:len(with)], with, func(a, b batch.Outgoing) bool {
		return a.ID == b.ID && bytes.Equal(a.Payload, b.Payload)
	})
}

// outlet sends a batch, and returns how many of its messages were certainly sent, from the
// first on. Without an error these are all.
type outlet interface {
	send(ctx context.Context, number int64, messages []batch.Outgoing) (int, error)
}

// fenced is the outlet of a holder.
type fenced struct{ t *Term }

func (f *fenced) send(ctx context.Context, number int64, messages []batch.Outgoing) (int, error) {
	t := f.t
	failpoint.Hit(failpoint.BeforePublish)
	if failpoint.Broken(failpoint.NoFence) {
		return t.l.plain().send(ctx, number, messages)
	}
	heard := t.p.heard(messages[len(messages)-1].Heard)
	script, args := f.call(number, heard, messages)
	for again := false; ; again = true {
		at, err := f.once(ctx, script, args)
		switch {
		case err != nil:
			return 0, err
		case at == 0:
			t.lose(errOther)
			return 0, t.lost()
		case at < 0 && again:
			return 0, fmt.Errorf("the lease of source %q vanishes again and again", t.l.cfg.Source)
		case at < 0:
			if err := t.renew(ctx, t.l.cfg.For/6); err != nil {
				return 0, err
			}
			continue
		case at > 1:
			t.p.published.Store(t.p.read(at, heard))
		}
		t.p.confirmed.Store(number)
		return len(messages), nil
	}
}

func (f *fenced) once(ctx context.Context, script *script, args []any) (int64, error) {
	r := f.t.l.r
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	at, err := script.run(ctx, r.writer, f.t.l.key(), args...).Int64()
	if err == nil {
		r.link.up()
	} else if !isReply(err) && ctx.Err() == nil {
		r.link.down(err)
	}
	return at, err
}

// call is the script and its arguments.
func (f *fenced) call(number, heard int64, messages []batch.Outgoing) (*script, []any) {
	r, cfg := f.t.l.r, f.t.l.cfg
	args := make([]any, 0, 6+2*len(messages))
	args = append(args, r.consumer, f.t.grant.Epoch, number, cfg.Topic, heard)
	if !cfg.Stream {
		for i := range messages {
			args = append(args, messages[i].Payload)
		}
		return r.scripts.publish, args
	}
	args = append(args, cfg.MaxLen)
	for i := range messages {
		args = append(args, messages[i].ID, messages[i].Payload)
	}
	return r.scripts.add, args
}
