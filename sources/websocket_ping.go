package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// wsPing is what is sent from time to time.
type wsPing struct {
	every   time.Duration // 0: never
	message *wsMessage    // nil: a ping frame
	expect  wsPatterns    // nil: no answer to a message is awaited
	within  time.Duration
}

func (p *wsPlan) parsePing(o WebSocketPing, scope wsScope) error {
	p.ping = wsPing{every: o.Every, within: cmp.Or(o.Timeout, wsTimeout)}
	var errs []error
	if o.Send != nil {
		message, err := parseWSMessage("ping.send", o.Send, scope)
		p.ping.message, errs = &message, append(errs, err)
	}
	var err error
	p.ping.expect, err = parseWSPatterns("ping.expect", o.Expect)
	errs = append(errs, err)
	switch {
	case o.Every == 0 && (o.Send != nil || o.Expect != nil):
		errs = append(errs, errors.New(`ping.every is missing; write the time between two pings, such as "20s"`))
	case o.Send == nil && o.Expect != nil:
		errs = append(errs, errors.New("ping.expect: the answer to a ping frame is a pong frame; leave it out, or write the message to send as ping.send"))
	}
	return errors.Join(errs...)
}

// wsReply is a rule for answers.
type wsReply struct {
	on   wsPatterns
	send wsMessage
}

func (p *wsPlan) parseReplies(list []WebSocketReply, scope wsScope) error {
	scope.on = true
	var errs []error
	for i, o := range list {
		name := "reply." + strconv.Itoa(i)
		if o.On == nil || o.Send == nil {
			errs = append(errs, fmt.Errorf("%s: on or send is missing; write which message to answer, and what", name))
			continue
		}
		on, onErr := parseWSPatterns(name+".on", o.On)
		send, sendErr := parseWSMessage(name+".send", o.Send, scope)
		p.replies, errs = append(p.replies, wsReply{on, send}), append(errs, onErr, sendErr)
	}
	return errors.Join(errs...)
}

// pinging sends pings until the session ends, or until one has no answer.
func (s *wsSession) pinging() error {
	for s.sleep(s.plan.ping.every) {
		if err := s.pingOnce(); err != nil {
			return err
		}
	}
	return nil
}

func (s *wsSession) pingOnce() error {
	ping := s.plan.ping
	silent := fmt.Errorf("no answer to ping for %s: the connection is dead", ping.within)
	limited, cancel := context.WithTimeout(s.ctx, ping.within)
	defer cancel()
	if ping.message == nil {
		err := s.link.conn.Ping(limited)
		if err != nil && limited.Err() != nil {
			return silent
		}
		return s.unwritten(err)
	}
	select { // an answer that came too late is none to this one
	case <-s.pongs:
	default:
	}
	if err := s.send(*ping.message, ""); err != nil || ping.expect == nil {
		return err
	}
	select {
	case <-s.pongs:
		return nil
	case <-limited.Done():
		return silent
	}
}
