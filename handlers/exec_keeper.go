package handlers

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"signalbox/router"
)

const (
	firstPause = 100 * time.Millisecond // before a restart; then twice that, and so on
	maxPause   = 30 * time.Second
	// ranWell is how long a program must run for its next restart to be a first one again.
	ranWell = 10 * time.Second
	// closeGrace is how long a program has to end when its stdin is closed.
	closeGrace = 5 * time.Second
	// suspectFor is how long an event is remembered that may have killed a program.
	suspectFor = 10 * time.Minute
	// maxSpare is how many bytes of memory for lines are kept when they are written.
	maxSpare = 1 << 20
)

// execKeeper keeps one program running: it starts it again when it has ended, after longer
// and longer pauses.
type execKeeper struct {
	program  *execProgram
	closing  <-chan struct{}
	closeErr error // set before keep returns

	mu       sync.Mutex
	worker   *execWorker // nil: none that takes events
	away     error       // why there is none; nil: one is being started
	until    time.Time   // when it may be there again
	waiting  int         // suspects that wait for their turn
	suspects map[suspect]time.Time
	change   chan struct{} // closed when who waits should look again; nil: nobody waits
}

// keep runs programs until the handler closes.
func (k *execKeeper) keep() {
	// The kernel ends the program with the thread that started it (dieWithRouter). While
	// the program runs, this goroutine holds the thread in wait.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer k.setAway(errors.New("the handler is closed"), time.Time{})
	for failures := 0; ; failures++ {
		began := time.Now()
		why := k.serve()
		select {
		case <-k.closing:
			return
		default:
		}
		if time.Since(began) >= ranWell {
			failures = 0
		}
		pause := pauseAfter(failures)
		k.setAway(why, time.Now().Add(pause))
		k.program.output.log.Warn("the program does not run; it is started again", "again_in", pause.Round(time.Millisecond), "err", why)
		select {
		case <-time.After(pause):
		case <-k.closing:
			return
		}
		k.setAway(nil, time.Time{})
	}
}

// pauseAfter is how long to wait before a restart, after so many failures before this one.
func pauseAfter(failures int) time.Duration {
	pause := min(maxPause, firstPause<<min(failures, 16))
	return pause/2 + rand.N(pause) //nolint:gosec // jitter keeps no secret
}

// serve runs the program once, and says why it ended.
func (k *execKeeper) serve() error {
	process, err := k.program.start()
	if err != nil {
		return err
	}
	k.program.output.log.Info("program started", "pid", process.cmd.Process.Pid)
	w := &execWorker{execProcess: process, wake: make(chan struct{}, 1)}
	ended := make(chan struct{})
	var stderr execTail
	w.read(w.stdout, maxLine, func(line []byte, cut bool) { k.hear(w, line, cut) })
	w.read(w.stderr, maxOutputLine, func(line []byte, _ bool) {
		stderr.add(line)
		k.program.output.say(slog.LevelInfo, "program output", "stderr", line)
	})
	var helpers sync.WaitGroup
	helpers.Go(func() { k.write(w, ended) })
	helpers.Go(func() { k.closeWith(w, ended) })
	k.mu.Lock()
	k.worker = w
	k.changed()
	k.mu.Unlock()

	err = w.wait()
	k.mu.Lock()
	k.leave(w, errors.New("the program has ended"), time.Time{}) // the pause begins in a moment
	k.mu.Unlock()
	close(ended)
	_ = w.stdin.SetWriteDeadline(time.Now()) // what the program has started may hold the other end
	helpers.Wait()
	why := fmt.Errorf("program %q ended by itself: %s%s", k.program.name(), endOf(err), stderr.about(k.program.secrets))
	why = k.bury(w, why)
	_ = w.stdin.Close()
	return why
}

// endOf says how a process ended, such as "exit status 1".
func endOf(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// write hands a program its lines, many at a time when many wait.
func (k *execKeeper) write(w *execWorker, ended <-chan struct{}) {
	var lines []byte
	for {
		select {
		case <-w.wake:
		case <-ended:
			return
		}
		k.mu.Lock()
		lines, w.waiting = w.waiting, lines[:0]
		k.mu.Unlock()
		n, err := w.stdin.Write(lines)
		k.mu.Lock()
		w.written += n
		k.mu.Unlock()
		if cap(lines) > maxSpare {
			lines = nil
		}
		if err == nil {
			continue
		}
		select {
		case <-ended:
		case <-k.closing:
		case <-time.After(killGrace): // it mostly is about to end, by itself
			k.mu.Lock()
			k.condemn(w, fmt.Errorf("program %q has closed its stdin, and is started anew", k.program.name()))
			k.mu.Unlock()
		}
		return
	}
}

// closeWith ends the program when the handler closes: it is asked by the end of its
// stdin, then by a signal, then not asked.
func (k *execKeeper) closeWith(w *execWorker, ended <-chan struct{}) {
	select {
	case <-k.closing:
	case <-ended:
		return
	}
	_ = w.stdin.Close()
	select {
	case <-time.After(closeGrace):
		k.closeErr = fmt.Errorf("program %q did not end within %v after its stdin was closed, and was killed", k.program.name(), closeGrace)
		w.terminate()
	case <-ended:
	}
}

// bury settles what a program that has died had in hand. An event that it has not begun to
// read had no part in that, and waits. The one that it has read has failed. Of several
// nobody knows which one it was, and they wait, too. What it has read is handed over alone
// from now on, so that the next time it is known, and nothing else is disturbed.
//
// It returns why the program has died, if not by itself.
func (k *execKeeper) bury(w *execWorker, why error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w.condemned != nil {
		return w.condemned
	}
	read := w.written - unread(w.stdin)
	var taken []*execCall
	for _, c := range w.hand {
		if c.start < read {
			taken = append(taken, c)
		}
	}
	now := time.Now()
	for of, since := range k.suspects {
		if now.Sub(since) > suspectFor {
			delete(k.suspects, of)
		}
	}
	for _, c := range taken {
		k.suspects[c.suspect] = now
	}
	if len(taken) == 1 {
		k.settle(w, taken[0], fmt.Errorf("the program died with this event in hand: %w", why))
	}
	for len(w.hand) > 0 {
		k.settle(w, w.hand[0], router.Unavailable(why, 0))
	}
	return why
}

// leave takes a program out of service; the caller holds the lock.
func (k *execKeeper) leave(w *execWorker, why error, until time.Time) {
	if k.worker == w {
		k.worker, k.away, k.until = nil, why, until
		k.changed()
	}
}

func (k *execKeeper) setAway(why error, until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.away, k.until = why, until
	k.changed()
}

// nextChange is closed with the next change; the caller holds the lock.
func (k *execKeeper) nextChange() <-chan struct{} {
	if k.change == nil {
		k.change = make(chan struct{})
	}
	return k.change
}

// changed tells who waits; the caller holds the lock.
func (k *execKeeper) changed() {
	if k.change != nil {
		close(k.change)
		k.change = nil
	}
}

// load is how many events are in hand; much, when there is no program.
func (k *execKeeper) load() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.worker == nil {
		return math.MaxInt
	}
	return len(k.worker.hand)
}
