package sources

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"signalbox/router"
)

const (
	wsWriteTimeout = 10 * time.Second // of one message
	wsReplies      = 1024             // that wait to be written, at most
	wsLastWords    = time.Second      // how long to wait for what a server says before it closes
)

// wsSession is one connection, from the upgrade to its end.
type wsSession struct {
	plan *wsPlan
	link *wsLink
	to   router.Sink
	log  *slog.Logger
	gone context.Context         //nolint:containedctx // of Run: when it ends, nobody waits for goodbyes
	ctx  context.Context         //nolint:containedctx // of the session: what it does ends with it
	end  context.CancelCauseFunc // the first cause is the verdict

	values  wsValues // without {id} and {on}
	sent    atomic.Int64
	decoder wsDecoder
	replies chan []byte
	waiting atomic.Int64  // bytes in replies
	pongs   chan struct{} // an answer to a ping that is a message
	first   wsFirst
	script  *wsScript
}

func newWSSession(ctx context.Context, w *webSocket, link *wsLink, values wsValues) *wsSession {
	own, end := context.WithCancelCause(ctx)
	return &wsSession{
		plan: w.plan, link: link, to: w.to, log: w.log, gone: ctx, ctx: own, end: end, values: values,
		decoder: wsDecoder{how: w.plan.decode, most: w.plan.maxBytes},
		replies: make(chan []byte, wsReplies), pongs: make(chan struct{}, 1),
		first: wsFirst{to: w.to}, script: newWSScript(w.plan.steps),
	}
}

// run reads until the session ends, and returns its verdict.
func (s *wsSession) run() error {
	s.open() // if there is nothing to do before
	var work sync.WaitGroup
	work.Go(s.close)
	work.Go(func() { s.endIf(s.begin()) })
	work.Go(func() { s.endIf(s.replying()) })
	if s.plan.rotate > 0 {
		age := s.plan.rotate - rand.N(s.plan.rotate/10+1)
		defer time.AfterFunc(age, func() { s.end(errWSPlanned) }).Stop()
	}
	s.end(s.read())
	work.Wait()
	s.first.stop()
	return context.Cause(s.ctx)
}

func (s *wsSession) endIf(err error) {
	if err != nil {
		s.end(err)
	}
}

// close waits for the end of the session, and closes its connection.
func (s *wsSession) close() {
	<-s.ctx.Done()
	within := wsGoodbye
	if errors.Is(context.Cause(s.ctx), errWSPlanned) {
		within = wsPlannedGoodbye
		// Then somebody does wait.
		defer context.AfterFunc(s.gone, func() { time.AfterFunc(wsGoodbye, s.link.cut) })()
	}
	s.link.goodbye(within)
}

// begin takes the steps up to the data, and sends pings from then on.
func (s *wsSession) begin() error {
	for i := range s.script.steps {
		if err := s.step(i); err != nil || s.ctx.Err() != nil {
			return err
		}
	}
	s.open()
	s.first.within(s.plan.firstEvent)
	if s.plan.ping.every > 0 {
		return s.pinging()
	}
	return nil
}

// read reads messages until the connection ends. Its context is none: one that could end
// would cost a timer with each message, and close ends the connection anyway.
func (s *wsSession) read() error {
	for {
		typ, message, err := s.link.conn.Read(context.Background())
		if err != nil {
			return s.broken(err)
		}
		if typ == websocket.MessageBinary && s.decoder.how != "" {
			if message, err = s.decoder.unpack(message); err != nil {
				return s.broken(err)
			}
		}
		if err := s.receive(message); err != nil {
			return err
		}
	}
}

// broken is the verdict on what ends the connection.
func (s *wsSession) broken(err error) error {
	closed, isClose := errors.AsType[websocket.CloseError](err)
	switch {
	case isClose:
		err := fmt.Errorf("%s closed the session with code %d%s", s.link.at, closed.Code, s.link.hidden.said(closed.Reason))
		return verdictOfClose(s.plan.rules, closed.Code, err)
	case errors.Is(err, websocket.ErrMessageTooBig), errors.Is(err, errWSTooLarge):
		return fmt.Errorf("%s sent a message of more than %d bytes; max_bytes allows for larger ones", s.link.at, s.plan.maxBytes)
	}
	return fmt.Errorf("the connection to %s broke: %w", s.link.at, s.link.failure(err))
}

// send writes a message, which answers another one or none.
func (s *wsSession) send(message wsMessage, on string) error {
	text, err := s.text(message, on)
	if err != nil {
		return err
	}
	return s.write(text)
}

// text is a message as it is sent. Only those that have an {id} are counted.
func (s *wsSession) text(message wsMessage, on string) ([]byte, error) {
	values := s.values
	values.on = on
	if message.counts {
		values.id = s.sent.Add(1)
	}
	return message.of(&values)
}

func (s *wsSession) write(text []byte) error {
	limited, cancel := context.WithTimeout(s.ctx, wsWriteTimeout)
	defer cancel()
	err := s.link.conn.Write(limited, websocket.MessageText, text)
	if err != nil && s.ctx.Err() == nil && limited.Err() != nil {
		return fmt.Errorf("%s has read nothing for %s", s.link.at, wsWriteTimeout)
	}
	return s.unwritten(err)
}

// unwritten is the verdict on what could not be written. A server that closes has mostly
// said why, and whoever reads is about to see it.
func (s *wsSession) unwritten(err error) error {
	if err == nil {
		return nil
	}
	s.sleep(wsLastWords)
	return fmt.Errorf("write to %s: %w", s.link.at, s.link.failure(err))
}

// replying writes the answers that receive has found to be due, so that reading never waits
// for a server that doesn't read.
func (s *wsSession) replying() error {
	for {
		select {
		case text := <-s.replies:
			s.waiting.Add(-int64(len(text)))
			if err := s.write(text); err != nil {
				return err
			}
		case <-s.ctx.Done():
			return nil
		}
	}
}

// sleep waits; false: the session has ended meanwhile.
func (s *wsSession) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}
