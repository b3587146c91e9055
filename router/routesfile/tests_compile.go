package routesfile

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"signalbox/router"
	"signalbox/router/internal/glob"
)

const (
	maxSent    = 10_000  // messages that a test sends
	maxSentAll = 100_000 // and that all of them send: what became of each is kept for the report
)

// compileTests checks the tests against the channels, handlers and routes that there are.
func (c *compiler) compileTests() []Test {
	if len(c.raw.Tests) == 0 {
		return nil
	}
	t := &tests{compiler: c, names: map[string]place{}, routes: c.knownRoutes(), files: map[string]messages{}}
	for i := range c.raw.Tests {
		if raw := &c.raw.Tests[i]; raw.node != nil { // else it is no table: reported
			t.all = append(t.all, t.compile(raw))
		}
	}
	return t.all
}

// tests checks tests and makes them.
type tests struct {
	*compiler
	names  map[string]place
	routes []string // their names
	files  map[string]messages
	sent   int // messages so far
	all    []Test
}

// messages are those of a file, which many tests may send.
type messages struct {
	all []string
	err error
}

func (t *tests) compile(raw *rawTest) Test {
	n := raw.node
	test := Test{At: n.at.position(), Name: raw.Name, Env: raw.Env, Now: raw.Now.Time, Answers: map[string][]string{}}
	switch earlier, taken := t.names[raw.Name]; {
	case n.get("name") == nil:
		t.report.errorf(n.key, "%s: name is missing; say in it what must be so", n.subject())
	case strings.TrimSpace(raw.Name) == "":
		t.report.errorf(n.place("name"), "%s: name is empty; say in it what must be so", n.subject())
	case taken:
		t.report.errorf(n.place("name"), "%s: another test has the name %q (%s); give this one another", n.subject(), shorten(raw.Name), earlier.lineIn(n.place("name").file))
	default:
		t.names[raw.Name] = n.place("name")
	}
	for _, variable := range slices.Sorted(maps.Keys(raw.Env)) {
		if !isVariable(variable) {
			t.report.errorf(n.get("env").get(variable).key, "%s: env: %q is no name of a variable; write letters, digits and _", n.subject(), shorten(variable))
		}
	}
	t.answers(raw, &test)
	lists := raw.lists()
	for i := range raw.Send {
		if raw.Send[i].node != nil {
			test.Send = append(test.Send, t.send(&raw.Send[i], lists))
		}
	}
	t.checkSent(n, test.Send)
	if len(raw.Send) == 0 && !n.get("send").skips() {
		t.report.errorf(n.key, "%s: sends nothing; write send = [{ channel = \"…\", message = { type = \"…\" } }]", n.subject())
	}
	expected := 0
	for _, list := range listNames() {
		for i := range lists[list] {
			expected++
			if one := &lists[list][i]; one.node != nil {
				test.Expect = append(test.Expect, t.expectation(one, list))
			}
		}
	}
	if expected == 0 {
		t.report.errorf(n.key, "%s: expects nothing; write what must happen, such as handled = [{ handler = \"…\" }]%s", n.subject(), listing("lists", listNames()))
	}
	return test
}

func listNames() []string {
	return []string{"handled", "not_handled", "skipped", "failed", "dead", "published", "rejected", "unmatched"}
}

func (r *rawTest) lists() map[string][]rawExpectation {
	return map[string][]rawExpectation{
		"handled": r.Handled, "not_handled": r.NotHandled, "skipped": r.Skipped, "failed": r.Failed,
		"dead": r.Dead, "published": r.Published, "rejected": r.Rejected, "unmatched": r.Unmatched,
	}
}

func (t *tests) answers(raw *rawTest, test *Test) {
	for _, handler := range slices.Sorted(maps.Keys(raw.Answers)) {
		n := raw.node.get("answers").get(handler)
		t.knownHandler(n.key, raw.node, handler)
		for _, word := range raw.Answers[handler] {
			t.oneOf(word.node, word.text, "answer", answerWords())
			test.Answers[handler] = append(test.Answers[handler], word.text)
		}
	}
}

// oneOf reports a word that is none of those that there are.
func (t *tests) oneOf(n *node, word, what string, valid []string) {
	if !slices.Contains(valid, word) {
		t.report.errorf(n.at, "%s: unknown %s %q%s", n.label(), what, shorten(word), didYouMean(word, what+"s", valid))
	}
}

func (t *tests) knownHandler(at place, test *node, name string) {
	if t.handlers[name] == nil {
		t.report.errorf(at, "%s: unknown handler %q%s", test.subject(), shorten(name), didYouMean(name, "handlers", slices.Collect(maps.Keys(t.handlers))))
	}
}

func (t *tests) knownChannel(n *node, name string) *channel {
	one := t.channels[name]
	if one == nil {
		t.report.errorf(n.place("channel"), "%s: unknown channel %q%s", n.label(), shorten(name), didYouMean(name, "channels", slices.Collect(maps.Keys(t.channels))))
	}
	return one
}

// knownRoutes are the names that routes have, or would have if they were not off: what is
// off here may be on in a test.
func (c *compiler) knownRoutes() []string {
	var names []string
	for _, r := range c.routes {
		names = append(names, r.Name)
	}
	for i := range c.raw.Routes {
		raw := &c.raw.Routes[i]
		if raw.Enabled == nil || *raw.Enabled {
			continue
		}
		for _, used := range raw.Handler.all {
			if raw.Name == "" {
				names = append(names, used.text)
			} else {
				names = append(names, raw.Name, raw.Name+"."+used.text)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (t *tests) send(raw *rawSend, lists map[string][]rawExpectation) Send {
	n := raw.node
	send := Send{At: n.at.position(), Channel: raw.Channel, Name: raw.Name, After: raw.After}
	var to *channel
	if n.get("channel") == nil {
		t.report.errorf(n.at, "%s: channel is missing; name a declared one", n.label())
	} else {
		to = t.knownChannel(n, raw.Channel)
	}
	if to != nil {
		t.checkSentName(raw, to)
	}
	said := 0
	for _, key := range []string{"message", "file", "text"} {
		if n.get(key) != nil {
			said++
		}
	}
	switch {
	case said != 1:
		t.report.errorf(n.at, "%s: has %d of message, file and text; write one of them: message = { type = \"…\" }", n.label(), said)
	case raw.Message != nil:
		send.Messages = []string{string(raw.Message)}
		if to != nil {
			t.checkSentType(n.get("message"), string(raw.Message), to, lists["unmatched"])
		}
	case raw.Text != nil:
		send.Messages = []string{*raw.Text}
	case n.get("file") != nil && n.get("file").value == raw.File:
		send.Messages = t.messagesOf(n.get("file"), raw.File)
	}
	return send
}

// checkSent reports a test that sends more than there is time and memory for.
func (t *tests) checkSent(n *node, sends []Send) {
	sum := 0
	for _, one := range sends {
		sum += len(one.Messages)
	}
	before := t.sent
	t.sent += sum
	switch {
	case sum > maxSent:
		t.report.errorf(n.place("send"), "%s: sends %d messages; a test sends %d at most", n.subject(), sum, maxSent)
	case t.sent > maxSentAll && before <= maxSentAll:
		t.report.errorf(n.place("send"), "%s: with this one, tests send more than %d messages; send less, or test in several runs of other files", n.subject(), maxSentAll)
	}
}

// checkSentName: a message to a pattern has a name of its own in Redis, any other has not.
func (t *tests) checkSentName(raw *rawSend, to *channel) {
	n := raw.node
	switch {
	case to.Pattern && raw.Name == "":
		t.report.errorf(n.place("channel"), "%s: channel %q is the pattern %q; say the name in Redis that the message is sent to: name = %q", n.label(), to.Name, to.Topic, strings.ReplaceAll(to.Topic, "*", "some"))
	case to.Pattern && !glob.Match(to.Topic, raw.Name):
		t.report.errorf(n.place("name"), "%s: name %q does not match %q, the pattern of channel %q", n.label(), shorten(raw.Name), to.Topic, to.Name)
	case !to.Pattern && raw.Name != "":
		t.report.errorf(n.place("name"), "%s: name is for a channel with a pattern, and %q has one name; remove it", n.label(), to.Name)
	}
}

// checkSentType reports a message whose type its channel doesn't have, unless the test
// expects that it is unmatched.
func (t *tests) checkSentType(n *node, message string, to *channel, unmatched []rawExpectation) {
	events, err := router.Decode(to.Channel, router.Message{Payload: []byte(message), Name: to.Topic})
	if err != nil || len(unmatched) > 0 {
		return // rejecting it may be what is tested
	}
	for _, event := range events {
		if !to.has(event.Type) {
			t.report.errorf(n.at, "%s: channel %q has no type %q%s", n.label(), to.Name, shorten(event.Type), didYouMean(event.Type, "types", to.Types))
		}
	}
}

// messagesOf reads the lines of a file of messages.
func (t *tests) messagesOf(n *node, name string) []string {
	file := beside(n.dir, name)
	if _, known := t.files[file]; !known {
		all, err := readMessages(file)
		t.files[file] = messages{all, err}
	}
	read := t.files[file]
	switch {
	case read.err != nil:
		t.report.errorf(n.at, "%s: %s cannot be read: %s", n.label(), file, read.err)
	case len(read.all) == 0:
		t.report.errorf(n.at, "%s: %s has no messages; write one on each line", n.label(), file)
	}
	return read.all
}

func readMessages(file string) (all []string, err error) {
	data, err := readAtMost(file, maxFile)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(data) {
		if line = bytes.TrimRight(line, "\r\n"); len(bytes.TrimSpace(line)) > 0 {
			all = append(all, string(line))
		}
	}
	return all, nil
}

func (t *tests) expectation(raw *rawExpectation, list string) Expectation {
	n := raw.node
	e := Expectation{
		At: n.at.position(), List: list, Handler: raw.Handler, Route: raw.Route, Channel: raw.Channel, Type: raw.Type,
		ID: raw.ID, Key: raw.Key, Message: json.RawMessage(raw.Message), Data: json.RawMessage(raw.Data), Attempts: raw.Attempts, Reason: raw.Reason,
	}
	if raw.Handler != "" {
		t.knownHandler(n.place("handler"), n, raw.Handler)
	}
	if raw.Route != "" && !slices.Contains(t.routes, raw.Route) {
		t.report.errorf(n.place("route"), "%s: unknown route %q%s", n.label(), shorten(raw.Route), didYouMean(raw.Route, "routes", t.routes))
	}
	among := slices.Collect(maps.Values(t.channels))
	if raw.Channel != "" {
		if one := t.knownChannel(n, raw.Channel); one != nil {
			among = []*channel{one}
		}
	}
	if raw.Type != "" && list != "unmatched" && !slices.ContainsFunc(among, func(one *channel) bool { return one.has(raw.Type) }) {
		var types []string
		for _, one := range among {
			types = append(types, one.Types...)
		}
		slices.Sort(types)
		t.report.errorf(n.place("type"), "%s: no channel that is meant has the type %q%s", n.label(), shorten(raw.Type), didYouMean(raw.Type, "types", slices.Compact(types)))
	}
	if raw.Reason != "" && list == "skipped" {
		t.oneOf(n.get("reason"), raw.Reason, "reason", skipReasons())
	}
	if raw.Reason != "" && (list == "dead" || list == "failed") {
		t.oneOf(n.get("reason"), raw.Reason, "reason", deadReasons())
	}
	return e
}
