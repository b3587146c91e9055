package handlers

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"time"

	"signalbox/router"
)

// maxTurn is how long an event, at most, whose attempt has ended lets an older one be the
// first to end; a route leaves a handler behind after a second.
const maxTurn = 800 * time.Millisecond

// maxAnswerID is how long an id may be, so that a verdict that names it is a line that is
// read, however the program escapes it (six bytes for one).
const maxAnswerID = 8 << 10

// execPool is the handler of mode lines: programs that stay.
type execPool struct {
	program *execProgram
	keepers []*execKeeper
	closing chan struct{}
	once    sync.Once
	over    sync.WaitGroup
}

// newPool starts the programs, and waits for none.
func newPool(p *execProgram, processes int) *execPool {
	l := &execPool{program: p, closing: make(chan struct{})}
	for range processes {
		k := &execKeeper{program: p, closing: l.closing, suspects: map[suspect]time.Time{}}
		l.keepers = append(l.keepers, k)
		l.over.Go(k.keep)
	}
	return l
}

// Handle hands an event to a program and waits for its verdict.
func (l *execPool) Handle(ctx context.Context, event *router.Event) error {
	if len(event.ID) > maxAnswerID {
		return router.Permanent(fmt.Errorf("the id has %d bytes: with more than %d, no verdict could name it", len(event.ID), maxAnswerID))
	}
	line, err := execLine(event, l.program.withMsg)
	if err != nil {
		return router.Permanent(err)
	}
	return l.keeperOf(event.Key).handle(ctx, event, line)
}

// keeperOf is the same for all events of a key, so that they stay in order. For one
// without a key it is who has the least in hand.
func (l *execPool) keeperOf(key string) *execKeeper {
	if len(l.keepers) == 1 {
		return l.keepers[0]
	}
	if key != "" {
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(key))
		return l.keepers[int(sum.Sum32()%uint32(len(l.keepers)))] //nolint:gosec // at most 64
	}
	return slices.MinFunc(l.keepers, func(a, b *execKeeper) int { return a.load() - b.load() })
}

// Close closes the stdin of the programs, so that they end, and waits for them.
func (l *execPool) Close() error {
	l.once.Do(func() { close(l.closing) })
	l.over.Wait()
	l.program.output.flush()
	var errs []error
	for _, k := range l.keepers {
		errs = append(errs, k.closeErr)
	}
	return errors.Join(errs...)
}

// execWorker is a program that runs, with the events that it has in hand. Its fields are
// guarded by its keeper's mutex.
type execWorker struct {
	*execProcess
	hand      []*execCall // oldest first
	waiting   []byte      // lines that are not written yet
	wake      chan struct{}
	queued    int   // bytes that were to be written so far
	written   int   // of them
	condemned error // why nothing that it says counts any more; nil: it does
}

// execCall is an event in hand.
type execCall struct {
	suspect
	since   time.Time // when it was handed over
	start   int       // of its line, in what is written
	alone   bool
	verdict error
	done    chan struct{} // closed when there is a verdict
}

// suspect names an event that was in hand, beside others, when a program died.
type suspect struct{ channel, id string }

// handle hands an event over and waits for its verdict.
func (k *execKeeper) handle(ctx context.Context, event *router.Event, line []byte) error {
	c, w, err := k.admit(ctx, suspect{event.Channel, event.ID}, line)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if shutdown(ctx) == nil && k.behind(w, c) {
			select { // whether the program is stuck with an older one, which goes first
			case <-c.done:
				return c.verdict
			case <-time.After(min(time.Since(c.since)/12, maxTurn)):
			}
		}
		k.giveUp(w, c, ctx.Err())
	}
	return c.verdict
}

// behind reports whether the program has an older event in hand. If both were handed over
// at about the same time, their attempts end at about the same time, too, in any order: a
// route looks at each sixteen times in its timeout.
func (k *execKeeper) behind(w *execWorker, c *execCall) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(w.hand) > 0 && w.hand[0] != c
}

// admit puts an event into the program's hands when it is its turn. Two events of one id
// are never in hand at a time, since a verdict names no more than that; and a suspect is
// alone, so that it is known who was it when the program dies again.
func (k *execKeeper) admit(ctx context.Context, of suspect, line []byte) (*execCall, *execWorker, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, alone := k.suspects[of]
	if alone {
		k.waiting++
		defer func() {
			k.waiting--
			k.changed()
		}()
	}
	for {
		if stopped := shutdown(ctx); stopped != nil {
			return nil, nil, stopped
		}
		if ctx.Err() != nil { // the event is as good as before
			return nil, nil, router.Unavailable(fmt.Errorf("program %q had no time for the event yet", k.program.name()), 0)
		}
		if k.away != nil {
			return nil, nil, router.Unavailable(k.away, max(time.Until(k.until), 0))
		}
		if k.worker != nil && k.mayTake(of, alone) {
			return k.worker.take(of, line, alone), k.worker, nil
		}
		change := k.nextChange()
		k.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
		}
		k.mu.Lock()
	}
}

func (k *execKeeper) mayTake(of suspect, alone bool) bool {
	if alone {
		return len(k.worker.hand) == 0
	}
	return k.waiting == 0 && !slices.ContainsFunc(k.worker.hand, func(c *execCall) bool { return c.alone || c.id == of.id })
}

// take adds an event to those in hand; the caller holds the lock.
func (w *execWorker) take(of suspect, line []byte, alone bool) *execCall {
	c := &execCall{suspect: of, since: time.Now(), start: w.queued, alone: alone, done: make(chan struct{})}
	w.hand = append(w.hand, c)
	w.waiting = append(w.waiting, line...)
	w.queued += len(line)
	select {
	case w.wake <- struct{}{}:
	default: // it knows
	}
	return c
}

// settle gives an event in hand its verdict; the caller holds the lock.
func (k *execKeeper) settle(w *execWorker, c *execCall, verdict error) {
	i := slices.Index(w.hand, c)
	w.hand = slices.Delete(w.hand, i, i+1)
	c.verdict = verdict
	close(c.done)
	k.changed()
}

// giveUp takes an event back whose attempt has ended. The program may be stuck with it:
// it is started anew, and whatever it says from now on is nobody's verdict.
func (k *execKeeper) giveUp(w *execWorker, c *execCall, ended error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-c.done: // just in time
		return
	default:
	}
	k.settle(w, c, &cutShort{fmt.Sprintf("program %q gave no verdict, and is started anew; does it answer every event, "+
		"and was its output flushed?", k.program.name()), ended})
	k.condemn(w, fmt.Errorf("program %q is started anew, since it gave no verdict on another event", k.program.name()))
}

// condemn ends a program; what else it has in hand waits for the next one. The caller
// holds the lock.
func (k *execKeeper) condemn(w *execWorker, why error) {
	if w.condemned != nil {
		return
	}
	w.condemned = why
	k.leave(w, why, time.Time{})
	for len(w.hand) > 0 {
		k.settle(w, w.hand[0], router.Unavailable(why, 0))
	}
	w.terminate()
}

// hear takes a line of stdout: a verdict, or output.
func (k *execKeeper) hear(w *execWorker, line []byte, cut bool) {
	if a, is := parseAnswer(line); is && !cut && (a.named || a.alone) {
		if k.answer(w, a) {
			return
		}
		k.program.output.say(slog.LevelWarn, "a verdict on no event in hand", "stdout", line)
		return
	}
	k.program.output.say(slog.LevelInfo, "program output", "stdout", line)
}

// answer credits a verdict to the event that it names; one that names none, to the oldest.
func (k *execKeeper) answer(w *execWorker, a execAnswer) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range w.hand { // none when it is condemned
		if !a.named || c.id == a.id {
			delete(k.suspects, c.suspect)
			k.settle(w, c, a.verdict(k.program.secrets))
			return true
		}
	}
	return false
}
