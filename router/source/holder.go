package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"signalbox/router"
	"signalbox/router/internal/failpoint"
)

// lastWords is how long it may take to publish what was read and to give the source back, at
// the end of a term.
const lastWords = 2 * time.Second

// holder runs one source in the term of a lease.
type holder struct {
	spec     router.SourceSpec
	service  string
	composer *router.Composer
	opts     Options
	log      *slog.Logger
	board    *board

	term    Term
	epoch   int64
	began   time.Time // of the term
	out     *outbox
	numbers *sequence
	stamps  *stamps
	others  map[string]bool // types that the channel does not declare, and the log knows
	pace    *pace
	alone   bool      // nobody else's session can be open
	heard   time.Time // the last sign of life of the session before; zero: there was none in this term
	earlier time.Time // likewise, in terms of this process before
}

// hold runs sessions until the term ends or ctx does, and gives the source back. It reports
// whether the source is given up.
func (h *holder) hold(ctx context.Context) (givenUp bool) {
	held, cancel := context.WithCancelCause(ctx)
	defer cancel(errEnded)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-h.term.Done():
			cancel(errLost)
		case <-held.Done():
		}
	}()
	h.out = newOutbox(ctx, h.term, h.spec.Queue, h.spec.QueueBytes, h.board, h.log)
	h.board.change(func(s *Stats) { s.Holds, s.Epoch = true, h.epoch })
	h.log.Info("this router holds the source", "epoch", h.epoch)
	givenUp = h.sessions(held)
	most := min(lastWords, h.opts.Drain)
	leaving, done := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer done()
	h.out.finish(most * 3 / 4)
	cancel(errEnded)
	<-watched
	h.board.change(func(s *Stats) { s.Holds = false })
	h.term.Release(leaving, h.alone) // and our own session is closed
	return givenUp
}

// sessions runs one session after another.
func (h *holder) sessions(ctx context.Context) (givenUp bool) {
	grant := h.term.Grant()
	if delay := h.spec.TakeoverDelay - grant.Gone; delay > 0 && !grant.Orderly && !failpoint.Broken(failpoint.NoDelay) {
		h.log.Info("connecting later: the session of the holder before may not be over", "in", delay.Round(time.Millisecond))
		h.board.turn(Waiting, "the other side may not have forgotten the session of the holder before", delay)
		if !wait(ctx, delay) {
			return false
		}
	}
	h.alone = true
	for ctx.Err() == nil {
		err := h.session(ctx)
		if ctx.Err() != nil {
			return false
		}
		pause, goOn := h.judge(err)
		if !goOn {
			return true
		}
		if pause > 0 && !wait(ctx, pause) {
			return false
		}
	}
	return false
}

// session runs one session and returns its verdict.
func (h *holder) session(ctx context.Context) error {
	source, err := h.prepare(ctx)
	if err != nil {
		return err
	}
	h.pace.attempts++
	h.board.change(func(s *Stats) { s.Attempts++ })
	h.board.turn(Connecting, "", 0)
	h.numbers.restart()
	s := &session{h: h, log: h.log, begun: time.Now()}
	return s.run(ctx, source)
}

// prepare makes a source as soon as the budget allows it to connect. Its credentials are not
// older than that, and an attempt that cannot be made costs nothing.
func (h *holder) prepare(ctx context.Context) (router.Source, error) {
	for {
		source, err := h.source()
		if err != nil {
			return nil, err
		}
		pause := h.spend(ctx)
		if pause == 0 {
			return source, nil
		}
		if !wait(ctx, pause) {
			return nil, ctx.Err()
		}
	}
}

// spend asks for leave to connect; if there is none, it returns when to ask again.
func (h *holder) spend(ctx context.Context) (again time.Duration) {
	pause, err := h.opts.Spend(ctx, h.spec.Name, h.spec.Budget)
	switch {
	case err == nil && pause <= 0:
		return 0
	case err != nil:
		pause = time.Second
		h.log.Warn("the connect budget cannot be asked for; not connecting", "err", err)
		h.board.turn(Waiting, "the connect budget cannot be asked for: "+err.Error(), pause)
	default:
		h.log.Warn("the connect budget is used up; connecting later", "connects", h.spec.Budget.Connects, "per", h.spec.Budget.Per, "in", pause.Round(time.Millisecond))
		h.board.turn(Waiting, "the connect budget is used up", pause)
	}
	return pause
}

// source makes the source of the next session.
func (h *holder) source() (_ router.Source, err error) {
	defer func() {
		if p := recover(); p != nil { // the options may be others than those that were checked
			err = &router.PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return h.spec.New(router.SourceEnv{Source: h.spec.Name, Attempt: h.pace.attempts, Log: h.log})
}

// judge says how long to wait before the next session, and whether there is to be one.
func (h *holder) judge(err error) (pause time.Duration, goOn bool) {
	if err == nil {
		pause = h.pace.planned()
		h.log.Info("the session ended as planned; connecting anew", "in", pause.Round(time.Millisecond))
		h.board.turn(Waiting, "the session ended as planned", pause)
		return pause, true
	}
	pause = h.pace.next()
	after, asked := router.IsUnavailable(err)
	pause = max(pause, after)
	switch {
	case router.IsPermanent(err):
		h.log.Error("the source is given up, until the configuration is changed or the router starts again", "err", err)
		h.board.turn(GivenUp, err.Error(), 0)
		return 0, false
	case router.IsStandDown(err) && h.spec.Conflict == router.Evicts:
		pause = max(h.spec.StandDown, after)
		h.log.Error("another session of the account has taken the place of ours; standing down instead of fighting for it", "in", pause, "err", err)
		h.board.turn(StoodDown, err.Error(), pause)
	case router.IsStandDown(err):
		pause = max(pause, h.spec.TakeoverDelay)
		h.log.Warn("the other side refuses: another session of the account is open; trying again", "in", pause.Round(time.Millisecond), "err", err)
		h.board.turn(StoodDown, err.Error(), pause)
	case asked:
		h.log.Warn("the other side asks to wait; connecting later", "in", pause.Round(time.Millisecond), "err", err)
		h.board.turn(Waiting, err.Error(), pause)
	default:
		attrs := []any{"in", pause.Round(time.Millisecond), "err", err}
		if panicked, is := errors.AsType[*router.PanicError](err); is {
			attrs = append(attrs, "stack", string(panicked.Stack))
		}
		h.log.Warn("the session failed; connecting anew", attrs...)
		h.board.turn(Waiting, err.Error(), pause)
	}
	return pause, true
}

// connected notes and tells that the session stands.
func (h *holder) connected(at string) {
	h.board.turn(Connected, "", 0)
	h.board.change(func(s *Stats) {
		s.Sessions++
		s.At, s.LastSeen = at, time.Now()
	})
	silent, known := h.silent()
	silent = silent.Round(time.Millisecond)
	h.log.Info("connected", "at", at, "epoch", h.epoch)
	now := time.Now()
	h.tell(router.TypeConnected, router.Connection{Source: h.spec.Name, Service: h.service, Epoch: h.epoch, At: at, Silent: silent.Seconds()}, now)
	if known {
		h.tell(router.TypeGap, router.Gap{Seconds: silent.Seconds(), Source: h.spec.Name}, now)
	}
}

// silent is for how long what the other side sent may be missing: since its last sign of life
// in the session before, not since that was noticed to be dead, or since the holder before
// published something.
func (h *holder) silent() (time.Duration, bool) {
	if !h.heard.IsZero() {
		return time.Since(h.heard), true
	}
	switch before := h.term.Grant().Silent; {
	case before >= 0:
		return before + time.Since(h.began), true
	case !h.earlier.IsZero(): // Redis has lost what it knew
		return time.Since(h.earlier), true
	}
	return 0, false
}

// accept publishes what was read, and reports whether there was an event in it. Sessions
// call it one at a time.
func (h *holder) accept(message []byte, now time.Time, log *slog.Logger) (data bool) {
	events, err := h.composer.Read(message, now)
	h.reject(err, log)
	for i := range events {
		if h.event(&events[i], now, log) {
			data = true
		}
	}
	h.board.change(func(s *Stats) {
		s.LastSeen = now
		s.Received += uint64(len(events))
		if data {
			s.LastData = now
		}
	})
	if data {
		h.pace.fresh()
	}
	return data
}

// event publishes one event.
func (h *holder) event(event *router.Event, now time.Time, log *slog.Logger) bool {
	composed, err := h.composer.Compose(event)
	switch {
	case errors.Is(err, router.ErrOtherType):
		h.other(event.Type, log)
		h.board.change(func(s *Stats) { s.Other++ })
		return false
	case err != nil:
		h.reject(err, log)
		return false
	}
	key := composed.Key
	if key == "" {
		key = event.Key
	}
	v := h.numbers.next(cmp.Or(event.Key, composed.Key), event.Msg)
	if v.blind {
		log.Warn("messages have no number, or no key, by which missing ones could be told", "seq", h.spec.Sequence.Path, "events", unnumbered)
	}
	if v.again { // which is no news: it was there already
		h.board.change(func(s *Stats) { s.Duplicates++ })
		return false
	} else if v.missing > 0 {
		log.Warn("the other side has left out messages", "key", event.Key, "events", v.missing, "after", v.after)
		h.board.change(func(s *Stats) { s.Missing += v.missing })
		h.tell(router.TypeGap, router.Gap{Missing: v.missing, After: uint64(v.after), Key: event.Key, Source: h.spec.Name}, now) //nolint:gosec // negative numbers are not counted
	}
	h.send(composed, key, now)
	return true
}

// maxOthers is of how many types the log says that they are not published.
const maxOthers = 100

// other tells, once for each type, that the channel does not declare it: a feed of which nothing
// arrives looks like a quiet one.
func (h *holder) other(typ string, log *slog.Logger) {
	if h.others[typ] || len(h.others) == maxOthers {
		return
	}
	h.others[typ] = true
	log.Info("the channel does not declare this type; its events are not published", "type", typ)
}

// send stamps a message and puts it into the outbox.
func (h *holder) send(composed router.Composed, key string, heard time.Time) {
	payload := composed.Payload(router.Stamp{Epoch: h.epoch, Seq: h.stamps.next(composed.Key)})
	if h.spec.Raw && h.spec.Fields.Split != "" { // a view of the whole array, which would stay for as long as it waits
		payload = bytes.Clone(payload)
	}
	// Likewise views, of the message without its stamp.
	h.out.put(parcel{id: strings.Clone(composed.ID), key: strings.Clone(key), payload: payload, heard: heard})
}

// tell publishes an own event on the channel of the source, whose other side was heard of then.
func (h *holder) tell(typ string, about any, heard time.Time) {
	composed, err := h.composer.Own(typ, "", about, time.Now())
	if err != nil {
		h.log.Error("an own event cannot be published on the source's channel", "type", typ, "err", err)
		return
	}
	h.send(composed, "", heard)
}

// reject counts what is no event, and logs one of each cause: an array may have very many.
func (h *holder) reject(err error, log *slog.Logger) {
	first := map[router.Cause]error{}
	count := map[router.Cause]uint64{}
	for _, one := range each(err) {
		cause := router.Cause("unpublishable")
		if m, ok := router.AsMalformed(one); ok {
			cause = m.Cause
		}
		if count[cause]++; count[cause] == 1 {
			first[cause] = one
		}
	}
	for _, cause := range slices.Sorted(maps.Keys(first)) {
		log.Warn("what the source read is no event", "cause", string(cause), "events", count[cause], "err", first[cause])
		h.board.change(func(s *Stats) { s.Rejected[cause] += count[cause] })
	}
}

// each are the errors that err joins, or err itself.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
