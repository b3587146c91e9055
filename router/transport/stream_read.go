package transport

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/failpoint"
)

// reader is the state of a subscription's read loop.
type reader struct {
	*streamSub
	made   bool // the group is there, as far as we know
	again  bool // and was there before
	retry  backoff
	absent limiter // lines about a missing group
}

// read fills the queue until the subscription ends.
func (s *streamSub) read() {
	r := &reader{streamSub: s}
	for s.ctx.Err() == nil {
		if err := r.step(); err != nil && !r.overcome(err) {
			return
		}
	}
}

// step makes sure that the group is there and reads once.
func (r *reader) step() error {
	if !r.made {
		if err := r.setUp(); err != nil {
			return err
		}
	}
	if r.reread.CompareAndSwap(true, false) && !failpoint.Broken(failpoint.NoReread) {
		if err := r.readPending(); err != nil {
			r.reread.Store(true)
			return err
		}
	}
	if r.group.behind() {
		r.ready.set(false)
		pause(r.ctx, behindPause)
		return nil
	}
	n := r.window.reserve(r.ctx, min(readMost, r.quarter()), readMost, false)
	if n == 0 || r.ctx.Err() != nil {
		return nil
	}
	records, err := r.readGroup(">", n, readBlock)
	r.window.release(n - len(records))
	if err != nil {
		return err
	}
	r.accept(records)
	return nil
}

// setUp sets the alive mark, looks at Redis' clock and makes the group.
func (r *reader) setUp() error {
	ctx, cancel := context.WithTimeout(r.ctx, commandTimeout)
	defer cancel()
	if err := r.r.alive.ensure(ctx); err != nil {
		return err
	}
	if err := r.r.clock.ensure(ctx); err != nil {
		return err
	}
	if err := r.makeGroup(); err != nil {
		return err
	}
	r.made, r.again = true, true
	r.progress() // before the first read: what Redis forgets while one reads is known now
	r.works()
	return nil
}

// works notes that Redis answers as it should.
func (r *reader) works() {
	r.r.link.up()
	if after, was := r.trouble.end(); was {
		r.log.Info("stream can be read again", "after", after)
	}
	r.ready.set(true)
}

// overcome deals with an error and waits before the next attempt. It reports false
// when the subscription ends.
func (r *reader) overcome(err error) bool {
	if r.ctx.Err() != nil {
		return false
	}
	switch {
	case isNoGroup(err):
		wasThere := r.made
		r.made = false
		r.orphaned()
		r.ready.set(false)
		if skipped, ok := r.absent.allow(); ok {
			r.log.Warn("consumer group is missing; making it again from the beginning", "skipped", skipped)
		}
		if wasThere && r.retry.failures == 0 {
			r.retry.failures++ // the first time at once
			return true
		}
	case isReply(err) && !redis.IsLoadingError(err):
		r.reread.Store(true)
		r.ready.set(false)
		if r.trouble.begin() {
			r.log.Error("stream cannot be read; trying again", "err", err)
		}
	default:
		// The reply may have been lost when the entries were already ours.
		r.reread.Store(true)
		r.ready.set(false)
		r.r.link.down(err)
	}
	return pause(r.ctx, r.retry.next())
}

// readGroup reads up to n entries after id, and no longer than block when there are
// none; ">" is what nobody has read. No entries is no error.
func (r *reader) readGroup(id string, n int, block time.Duration) (records []record, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, max(0, block)+readSlack)
	defer cancel()
	args := []any{"XREADGROUP", "GROUP", r.cfg.Group, r.r.consumer, "COUNT", n}
	if block > 0 {
		args = append(args, "BLOCK", block.Milliseconds())
	}
	if failpoint.Broken(failpoint.NoAck) {
		args = append(args, "NOACK")
	}
	reply, err := r.client.Do(ctx, append(args, "STREAMS", r.topic, id)...).Result()
	switch {
	case errors.Is(err, redis.Nil):
	case err != nil:
		return nil, err
	default:
		err = eachStream(reply, func(_ string, read []record) { records = read })
		if err != nil {
			return nil, err
		}
	}
	r.retry.reset()
	r.works()
	if len(records) > 0 {
		failpoint.Hit(failpoint.AfterRead)
	}
	return records, nil
}

// accept queues entries that have their places in the window. It gives back the
// places of those that are in hand already.
func (s *streamSub) accept(records []record) {
	if len(records) == 0 {
		return
	}
	entries := make([]*entry, len(records))
	for i, rec := range records {
		entries[i] = s.entry(rec)
	}
	if failpoint.Broken(failpoint.AckFirst) {
		for _, rec := range records {
			_ = s.r.writer.XAck(s.ctx, s.topic, s.cfg.Group, rec.id).Err()
		}
	}
	fresh := s.group.takeRead(entries)
	if len(fresh) < len(records) {
		s.window.release(len(records) - len(fresh))
	}
	s.push(fresh...)
}

// readPending takes what is pending under our name and not in hand: a reply was lost,
// or another subscription of this process left it.
func (r *reader) readPending() error {
	for after := "0"; after != ""; {
		n := r.window.reserve(r.ctx, 1, readMost, false)
		if n == 0 {
			r.reread.Store(true)
			return nil
		}
		var err error
		if after, err = r.pendingPage(after, n); err != nil {
			return err
		}
	}
	return nil
}

// pendingPage takes up to n entries, which have their places in the window. It
// returns the id to go on after, empty at the end.
func (r *reader) pendingPage(after string, n int) (last string, err error) {
	r.group.look(1)
	defer r.group.look(-1)
	records, err := r.readGroup(after, n, 0)
	if err != nil || len(records) == 0 {
		r.window.release(n)
		return "", err
	}
	last = records[len(records)-1].id
	kept := r.withoutTrimmed(records)
	r.window.release(n - len(kept))
	r.accept(kept)
	return last, nil
}

// withoutTrimmed counts and acknowledges the entries whose message is gone.
func (s *streamSub) withoutTrimmed(records []record) []record {
	kept := records[:0]
	var gone []string
	for _, rec := range records {
		if rec.fields == nil {
			gone = append(gone, rec.id)
		} else {
			kept = append(kept, rec)
		}
	}
	if len(gone) > 0 {
		if gone := s.group.take(s, gone); len(gone) > 0 { // else somebody has its payload
			s.trimmed(len(gone))
			for _, h := range gone {
				s.group.complete(h)
			}
		}
	}
	return kept
}

// trimmed reports pending entries that were trimmed before they could be delivered.
func (s *streamSub) trimmed(n int) {
	if n == 0 {
		return
	}
	s.log.Warn("pending stream entries were trimmed before they could be delivered", "events", n)
	s.r.lose(Loss{Topic: s.topic, Reason: LossTrimmed, Events: n})
}
