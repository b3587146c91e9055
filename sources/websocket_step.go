package sources

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wsStep is a part of what is said before a session is open: what is sent, and what is
// awaited then.
type wsStep struct {
	name   string // the option that it comes from
	pause  time.Duration
	send   []wsMessage
	every  time.Duration // pause between two of them
	expect wsPatterns    // nil: nothing is awaited
	failOn wsPatterns
	count  int // of the messages that are awaited
	within time.Duration
	login  bool // it fails if the credentials are wrong
}

// wsAwaited is what options say about an answer.
type wsAwaited struct {
	expect, failOn any
	count          int
	timeout        time.Duration
}

// parseSteps puts in order what a session begins with: greeting, auth, handshake, subscribe.
func (p *wsPlan) parseSteps(o WebSocketOptions, scope wsScope) error {
	b := wsStepsBuilder{scope: scope}
	b.add("greeting", nil, wsAwaited{o.Greeting.Expect, o.Greeting.FailOn, 1, o.Greeting.Timeout})
	b.add("auth", o.Auth.Message, wsAwaited{o.Auth.Expect, o.Auth.FailOn, 1, o.Auth.Timeout})
	for i, step := range o.Handshake {
		name := "handshake." + strconv.Itoa(i)
		switch {
		case step.Timeout < 0 || step.Pause < 0:
			b.errs = append(b.errs, fmt.Errorf("%s: timeout or pause is negative; write a duration such as \"10s\"", name))
		case step.Send == nil && step.Expect == nil && step.Pause == 0:
			b.errs = append(b.errs, fmt.Errorf("%s is empty; write what to send, what to expect, or how long to pause", name))
		}
		b.pause = step.Pause
		b.add(name, step.Send, wsAwaited{step.Expect, step.FailOn, 1, step.Timeout})
	}
	b.addSubscribe(o)
	p.steps = b.steps
	return errors.Join(b.errs...)
}

type wsStepsBuilder struct {
	scope wsScope
	pause time.Duration // of the next step
	steps []wsStep
	errs  []error
}

// add adds the step of an option, if it has anything to do.
func (b *wsStepsBuilder) add(name string, send any, awaited wsAwaited) {
	step := wsStep{name: name, login: name == "auth", pause: b.pause}
	b.pause = 0
	if send != nil {
		scope := b.scope
		scope.loose = step.login
		at := name + ".send"
		if step.login {
			at = "auth.message"
		}
		message, err := parseWSMessage(at, send, scope)
		step.send, b.errs = append(step.send, message), append(b.errs, err)
	}
	b.await(&step, name, awaited)
	if step.send != nil || step.expect != nil || step.pause > 0 {
		b.steps = append(b.steps, step)
	}
}

// await adds what is awaited to a step.
func (b *wsStepsBuilder) await(step *wsStep, option string, awaited wsAwaited) {
	var expectErr, failErr error
	step.expect, expectErr = parseWSPatterns(option+".expect", awaited.expect)
	step.failOn, failErr = parseWSPatterns(option+".fail_on", awaited.failOn)
	b.errs = append(b.errs, expectErr, failErr)
	if awaited.expect == nil && awaited.failOn != nil {
		b.errs = append(b.errs, fmt.Errorf("%s.fail_on: nothing is awaited that could fail; write expect, too, or let errors say what the message means", option))
	}
	step.count, step.within = max(awaited.count, 1), cmp.Or(awaited.timeout, wsTimeout)
}

// addSubscribe adds the step that asks for data.
func (b *wsStepsBuilder) addSubscribe(o WebSocketOptions) {
	step := wsStep{name: "subscribe", every: o.SubscribeEvery}
	for i, value := range o.Subscribe {
		message, err := parseWSMessage("subscribe."+strconv.Itoa(i), value, b.scope)
		step.send, b.errs = append(step.send, message), append(b.errs, err)
	}
	each, err := o.SubscribeEach.messages(b.scope)
	step.send, b.errs = append(step.send, each...), append(b.errs, err)
	if o.Confirm.Count < 0 {
		b.errs = append(b.errs, fmt.Errorf("confirm.count: %d is negative; write how many messages confirm", o.Confirm.Count))
	}
	b.await(&step, "confirm", wsAwaited{o.Confirm.Expect, o.Confirm.FailOn, cmp.Or(o.Confirm.Count, len(step.send)), o.Confirm.Timeout})
	if step.send != nil || step.expect != nil {
		b.steps = append(b.steps, step)
	}
}

// messages are the messages for all parts of the list.
func (e WebSocketSubscribeEach) messages(scope wsScope) ([]wsMessage, error) {
	if e.Message == nil && e.At == "" && e.List == nil {
		return nil, nil
	}
	switch {
	case len(e.Message) == 0:
		return nil, errors.New("subscribe_each.message is missing; write the table that is sent, without the list")
	case e.At == "" || strings.Contains("."+e.At+".", ".."):
		return nil, errors.New(`subscribe_each.at is missing or no path; write where the list stands in the message, such as "params"`)
	case len(e.List) == 0:
		return nil, errors.New("subscribe_each.list is empty; write what to ask for")
	case e.Size < 0:
		return nil, fmt.Errorf("subscribe_each.size: %d is negative; write how many one message has at most", e.Size)
	}
	var messages []wsMessage
	for part := range slices.Chunk(e.List, cmp.Or(e.Size, len(e.List))) {
		list := make([]any, len(part))
		for i, one := range part {
			list[i] = one
		}
		table, err := withAt(e.Message, strings.Split(e.At, "."), list)
		if err != nil {
			return nil, err
		}
		message, err := parseWSMessage("subscribe_each.message", table, scope)
		if err != nil {
			return nil, err
		}
		messages = append(messages, message)
	}
	return messages, nil
}

// withAt is a table with a value at a path. The table itself stays as it is.
func withAt(table map[string]any, path []string, value any) (map[string]any, error) {
	table = maps.Clone(table)
	if len(path) > 1 {
		inner, isTable := table[path[0]].(map[string]any)
		switch {
		case table[path[0]] == nil:
			inner = map[string]any{}
		case !isTable:
			return nil, fmt.Errorf("subscribe_each.at: the message has no table at %q", path[0])
		}
		var err error
		if value, err = withAt(inner, path[1:], value); err != nil {
			return nil, err
		}
	}
	table[path[0]] = value
	return table, nil
}
