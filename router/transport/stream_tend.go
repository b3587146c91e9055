package transport

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/failpoint"
)

const (
	lookEvery = 900 * time.Millisecond // for dead consumers
	pageSize  = 256                    // ids in one XPENDING or XCLAIM
)

// tender is the state of the loop that looks after what is pending.
type tender struct {
	*streamSub
	extended     time.Time          // before the last confirmed extension of what is in hand
	missing      map[string]absence // consumers without a mark
	nextTrimLook time.Time
	trims        trimWatch
}

// absence is when a consumer's mark was first missed, and our own losses by then.
type absence struct {
	since  time.Time
	losses int64
}

// tend extends what is in hand, looks for dead consumers, and starts claims.
func (s *streamSub) tend() {
	t := &tender{streamSub: s, extended: time.Now(), missing: make(map[string]absence)}
	agreed := &agreement{streamSub: s}
	look := time.NewTimer(jitter(lookEvery))
	defer look.Stop()
	idle := s.idle()
	extend := time.NewTicker(extendEvery(idle))
	defer extend.Stop()
	claim := time.NewTicker(claimEvery(idle))
	defer claim.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-look.C:
			look.Reset(jitter(lookEvery))
			t.verifyAfterLoss()
			t.look()
			t.watchTrimming()
			agreed.look()
			if now := s.idle(); now != idle { // a reload changed it
				idle = now
				t.extend()
				extend.Reset(extendEvery(idle))
				claim.Reset(claimEvery(idle))
			}
		case <-extend.C:
			t.extend()
		case <-claim.C:
			if !failpoint.Broken(failpoint.NoClaim) && s.claiming.CompareAndSwap(false, true) {
				s.wg.Go(s.autoclaim)
			}
		}
	}
}

func extendEvery(idle time.Duration) time.Duration { return max(idle/3, 10*time.Millisecond) }

func claimEvery(idle time.Duration) time.Duration { return max(idle/2, 10*time.Millisecond) }

// commandContext bounds an ordinary command on the stream.
func (s *streamSub) commandContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, commandTimeout)
}

// extend makes everything in hand young again, so that nobody claims it while its
// handler runs. When the last extension is too old, others may have claimed it
// already: then it asks first, since an extension would take it away from them.
func (t *tender) extend() {
	if failpoint.Broken(failpoint.NoHeartbeat) {
		return
	}
	now := time.Now()
	if now.Sub(t.extended) > t.idle() || !t.sure() {
		if !t.verify() {
			return
		}
	}
	ids := t.group.held(t.streamSub)
	for len(ids) > 0 {
		n := min(pageSize, len(ids))
		if err := t.claimIDs(0, ids[:n]); err != nil && !isNoGroup(err) {
			return
		}
		ids = ids[n:]
	}
	t.extended = now
}

// claimIDs makes ids ours without reading them or counting a delivery.
func (s *streamSub) claimIDs(minIdle time.Duration, ids []string) error {
	_, err := s.claimed(minIdle, ids)
	return err
}

func (s *streamSub) claimed(minIdle time.Duration, ids []string) ([]string, error) {
	ctx, cancel := s.commandContext()
	defer cancel()
	return s.r.writer.XClaimJustID(ctx, &redis.XClaimArgs{
		Stream:   s.topic,
		Group:    s.cfg.Group,
		Consumer: s.r.consumer,
		MinIdle:  minIdle,
		Messages: ids,
	}).Result()
}

// verifyAfterLoss lets the pump go on after our alive mark was lost and is back.
func (t *tender) verifyAfterLoss() {
	losses, marked := t.r.alive.state()
	if marked {
		if losses != t.verified.Load() {
			t.verify()
		}
		t.poke()
	}
}

// verify lets go of what is in hand and no longer ours. It reports whether it could ask.
func (t *tender) verify() bool {
	losses, marked := t.r.alive.state()
	if !marked {
		return false
	}
	suspects := t.group.held(t.streamSub) // what is read from now on is ours
	ours, err := t.pending()
	switch {
	case isNoGroup(err):
		t.orphaned()
	case err != nil:
		return false
	default:
		suspects = slices.DeleteFunc(suspects, func(id string) bool { return ours[id] })
		foreign, err := t.present(suspects)
		if err != nil {
			return false
		}
		t.dropForeign(foreign)
	}
	t.verified.Store(losses)
	t.extended = time.Now()
	t.poke()
	return true
}

// present returns those of ids that the stream has. An entry that is neither pending
// under our name nor there was perhaps lost with its group: nobody else has it then.
func (t *tender) present(ids []string) (map[string]bool, error) {
	there := make(map[string]bool, len(ids))
	for page := range slices.Chunk(ids, pageSize) {
		ctx, cancel := t.commandContext()
		pipe := t.r.writer.Pipeline()
		found := make([]*redis.XMessageSliceCmd, len(page))
		for i, id := range page {
			found[i] = pipe.XRange(ctx, t.topic, id, id)
		}
		_, err := pipe.Exec(ctx)
		cancel()
		if err != nil {
			return nil, err
		}
		for i, id := range page {
			if len(found[i].Val()) > 0 {
				there[id] = true
			}
		}
	}
	return there, nil
}

// pending returns all ids that are pending under our name.
func (t *tender) pending() (map[string]bool, error) {
	ours := make(map[string]bool)
	start := "-"
	for {
		ctx, cancel := t.commandContext()
		page, err := t.r.writer.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: t.topic, Group: t.cfg.Group, Start: start, End: "+", Count: pageSize, Consumer: t.r.consumer,
		}).Result()
		cancel()
		if err != nil {
			return nil, err
		}
		before := len(ours)
		for _, p := range page {
			ours[p.ID] = true
		}
		if len(page) < pageSize || len(ours) == before {
			return ours, nil
		}
		start = page[len(page)-1].ID
	}
}

// dropForeign lets go of what others own now: what no handler has begun never begins,
// and what one has is not acknowledged by us.
func (t *tender) dropForeign(foreign map[string]bool) {
	if len(foreign) == 0 {
		return
	}
	t.mu.Lock()
	var unread []string
	var dropped []*entry
	for range t.queue.Len() {
		e := t.queue.PopFront()
		if foreign[e.item.ID] && !e.orphan {
			dropped = append(dropped, e)
		} else {
			t.queue.PushBack(e)
		}
	}
	for id := range t.unread {
		if foreign[id] {
			delete(t.unread, id)
			unread = append(unread, id)
		}
	}
	t.mu.Unlock()
	t.group.dropUnread(unread)
	for _, e := range dropped {
		t.group.drop(e.hold)
	}
	revoked := t.group.revoke(t.streamSub, foreign)
	if len(unread)+len(dropped)+len(revoked) == 0 { // done meanwhile
		return
	}
	for _, e := range slices.Concat(dropped, revoked) {
		e.settled()
	}
	t.log.Warn("this process stood still for so long that others took over what it had in hand",
		"queued", len(unread)+len(dropped), "handed_over", len(revoked))
}

// look finds consumers that died with entries pending, and takes these over.
func (t *tender) look() {
	ctx, cancel := t.commandContext()
	defer cancel()
	consumers, err := t.r.writer.XInfoConsumers(ctx, t.topic, t.cfg.Group).Result()
	if err != nil {
		return // the reader tells
	}
	var names []string
	for _, c := range consumers {
		if c.Pending > 0 && c.Name != t.r.consumer && strings.HasPrefix(c.Name, consumerPrefix) {
			names = append(names, c.Name)
		}
	}
	gone, err := t.r.unmarked(ctx, names)
	if err != nil {
		return
	}
	// While a takeover runs, those who die meanwhile wait for the next look.
	if dead := t.dead(gone); len(dead) > 0 && !failpoint.Broken(failpoint.NoClaim) && t.taking.CompareAndSwap(false, true) {
		t.wg.Go(func() { t.takeOver(dead) })
	}
}

// dead returns those of the consumers without a mark that have been seen without one
// for a whole TTL. If our own mark was lost meanwhile, then it may be Redis that lost
// them all, and the wait begins again.
func (t *tender) dead(gone []string) []string {
	now := time.Now()
	losses, marked := t.r.alive.state()
	seen := make(map[string]absence, len(gone))
	var dead []string
	for _, name := range gone {
		a, ok := t.missing[name]
		if !ok || a.losses != losses || !marked {
			a = absence{since: now, losses: losses}
		}
		seen[name] = a
		if now.Sub(a.since) >= aliveTTL {
			dead = append(dead, name)
		}
	}
	t.missing = seen
	return dead
}
