package sources

import (
	"bytes"
	"fmt"
	"log/slog"

	"github.com/tidwall/gjson"
)

// receive looks at a message, and hands it over if it is data. An error ends the session.
//
// A message that is an array of objects is looked at whole, and then object by object, since
// some servers put what they have to say and data into one. What is left is handed over.
func (s *wsSession) receive(message []byte) error {
	if len(message) == 0 {
		s.to.Alive()
		return nil
	}
	if !s.looks() {
		s.emit(message)
		return nil
	}
	in := newWSIncoming(message)
	if taken, err := s.take(in); taken || err != nil {
		s.to.Alive()
		return err
	}
	if !in.json || bytes.TrimLeft(message, " \t\r\n")[0] != '[' {
		s.emit(message)
		return nil
	}
	left, all, err := s.takeEach(in)
	switch {
	case all:
		s.emit(message)
	case left != nil:
		s.to.Alive()
		s.emit(left)
	default:
		s.to.Alive()
	}
	return err
}

// looks reports whether there is anything to look for in a message.
func (s *wsSession) looks() bool {
	p := s.plan
	return len(p.rules)+len(p.heartbeat)+len(p.replies)+len(p.rotateOn)+len(p.ping.expect) > 0 || s.script.awaits()
}

// takeEach takes what is no data out of an array. Left is what remains, or nil; all says that
// it is all there was.
func (s *wsSession) takeEach(in wsIncoming) (left []byte, all bool, err error) {
	all = true
	gjson.Parse(in.text).ForEach(func(_, element gjson.Result) bool {
		taken := false
		if element.IsObject() && err == nil {
			taken, err = s.take(wsIncoming{element.Raw, true})
		}
		if taken {
			all = false
			return true
		}
		left = append(left, ',')
		left = append(left, element.Raw...)
		return true
	})
	if left == nil {
		return nil, all, err
	}
	left[0] = '['
	return append(left, ']'), all, err
}

// take does what a message that is no data asks for. An error ends the session.
func (s *wsSession) take(in wsIncoming) (taken bool, err error) {
	for _, rule := range s.plan.rules {
		if !rule.match.match(in) {
			continue
		}
		if rule.then == wsIgnore {
			if s.log.Enabled(s.ctx, slog.LevelDebug) {
				s.log.Debug("message of the server ignored", "message", s.link.hidden.show(in.text))
			}
			return true, nil
		}
		return true, rule.verdict(fmt.Errorf("%s says%s", s.link.at, s.link.hidden.said(in.text)))
	}
	if s.plan.rotateOn.match(in) {
		return true, errWSPlanned
	}
	if taken, failed := s.script.takes(in); failed != nil {
		err := fmt.Errorf("%s failed: %s says%s", failed.name, s.link.at, s.link.hidden.said(in.text))
		if failed.login {
			err = reauth(err)
		}
		return true, err
	} else if taken {
		s.open()
		return true, nil
	}
	if s.plan.ping.expect.match(in) {
		select {
		case s.pongs <- struct{}{}:
		default: // nobody waits any more
		}
		return true, nil
	}
	for _, reply := range s.plan.replies {
		if reply.on.match(in) {
			return true, s.reply(reply, in)
		}
	}
	return s.plan.heartbeat.match(in), nil
}

// reply has an answer written, without waiting for that. What waits already is bounded, in
// number and, where answers repeat what was asked, in bytes.
func (s *wsSession) reply(rule wsReply, in wsIncoming) error {
	flood := fmt.Errorf("%s asks for answers faster than it reads them", s.link.at)
	if s.waiting.Load() > s.plan.maxBytes {
		return flood
	}
	text, err := s.text(rule.send, in.text)
	if err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	s.waiting.Add(int64(len(text)))
	select {
	case s.replies <- text:
		return nil
	default:
		return flood
	}
}

// emit hands over data. While it begins, a server may repeat what logs in, and no pattern may
// tell of it: that is for nobody's eyes.
func (s *wsSession) emit(message []byte) {
	begins := s.script.awaits()
	s.script.passes(message)
	if begins && s.link.hidden.in(string(message)) {
		s.log.Warn("a message of the server is not published: it repeats what may be secret")
		s.to.Alive()
		return
	}
	s.first.came()
	s.to.Emit(message)
}
