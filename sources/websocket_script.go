package sources

import (
	"fmt"
	"sync"
	"time"
)

// wsScript is how far a session has come with its steps.
type wsScript struct {
	steps  []wsStep
	passed []chan struct{} // of each step, closed when what it awaits has come

	mu      sync.Mutex
	at      int // the step whose answer is awaited; len(steps): none is
	left    int // how many messages it still awaits
	sent    int // how many steps have come to the last that they have to say
	opened  bool
	strange []string // what came first while this answer is awaited, and was none
}

func newWSScript(steps []wsStep) *wsScript {
	script := &wsScript{steps: steps, passed: make([]chan struct{}, len(steps)), at: -1}
	for i := range steps {
		script.passed[i] = make(chan struct{})
	}
	script.next()
	return script
}

// next turns to the next step that awaits anything: at once, not when its turn to send
// comes, since a server may say several things without being asked.
func (s *wsScript) next() {
	s.strange = nil
	for s.at++; s.at < len(s.steps); s.at++ {
		if s.steps[s.at].expect != nil {
			s.left = s.steps[s.at].count
			return
		}
	}
}

// takes tells whether a message is one that is awaited, and the step that it has failed.
func (s *wsScript) takes(in wsIncoming) (taken bool, failed *wsStep) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == len(s.steps) {
		return false, nil
	}
	step := &s.steps[s.at]
	switch {
	case step.failOn.match(in):
		return true, step
	case !step.expect.match(in):
		return false, nil
	}
	if s.left--; s.left == 0 {
		close(s.passed[s.at])
		s.next()
	}
	return true, nil
}

// said tells that another step says the last that it has to say, or has nothing to say.
func (s *wsScript) said() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
}

// opens reports, once, that all steps are taken.
func (s *wsScript) opens() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.at == len(s.steps) && s.sent == len(s.steps) && !s.opened
	s.opened = s.opened || done
	return done
}

// awaits reports whether any message is awaited.
func (s *wsScript) awaits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at < len(s.steps)
}

// passes notes data that comes while an answer is awaited: perhaps it is the answer, and
// the pattern wrong.
func (s *wsScript) passes(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 2
	if s.at < len(s.steps) && len(s.strange) < most {
		s.strange = append(s.strange, string(message[:min(len(message), 4*wsMaxShown)]))
	}
}

// late is why a step fails whose answer does not come.
func (s *wsSession) late(i int) error {
	s.script.mu.Lock()
	step, came := s.script.steps[i], 0
	var strange []string
	if s.script.at == i {
		strange, came = s.script.strange, step.count-s.script.left
	}
	s.script.mu.Unlock()
	err := fmt.Errorf("%s: what is expected has not come from %s within %s", step.name, s.link.at, step.within)
	if came > 0 {
		err = fmt.Errorf("%w but %d of %d times", err, came, step.count)
	}
	for _, message := range strange {
		err = fmt.Errorf("%w; something else has%s", err, s.link.hidden.said(message))
	}
	return err
}

// step sends what a step has to say, and waits for what it awaits.
func (s *wsSession) step(i int) error {
	step := s.script.steps[i]
	if step.pause > 0 && !s.sleep(step.pause) {
		return nil
	}
	for j, message := range step.send {
		if j > 0 && step.every > 0 && !s.sleep(step.every) {
			return nil
		}
		if j == len(step.send)-1 {
			s.script.said() // now: its answer may be read before the write has returned
		}
		if err := s.send(message, ""); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	if step.send == nil {
		s.script.said()
	}
	if step.expect == nil {
		return nil
	}
	timer := time.NewTimer(step.within)
	defer timer.Stop()
	select {
	case <-s.script.passed[i]:
		return nil
	case <-s.ctx.Done():
		return nil
	case <-timer.C:
		return s.late(i)
	}
}

// open tells that the session is open, if it is now. Both who sends and who reads call it, so
// that it is told before the data that follows the last answer.
func (s *wsSession) open() {
	if s.script.opens() {
		s.to.Opened(s.link.at)
	}
}
