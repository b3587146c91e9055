package routesfile

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"signalbox/router"
)

// rawTest is one [[tests]] table.
type rawTest struct {
	located
	Name    string                `toml:"name" doc:"says what must be so; no two tests share one"`
	Send    []rawSend             `toml:"send" doc:"the messages to send, in order"`
	Env     map[string]string     `toml:"env" doc:"the variables that there are: no others"`
	Now     moment                `toml:"now" doc:"where the clock of the test begins, RFC 3339; default: the time of the first message that has one, else noon on 5 January 2026"`
	Answers map[string]rawAnswers `toml:"answers" doc:"what handlers answer, attempt by attempt; the last answer repeats: ok, error, permanent, unavailable, timeout, panic"`

	Handled    []rawExpectation `toml:"handled" doc:"events that handlers must have handled"`
	NotHandled []rawExpectation `toml:"not_handled" doc:"events that no handler may have handled"`
	Skipped    []rawExpectation `toml:"skipped" doc:"events that routes must have passed over, with the reason: max_age, when or dedupe"`
	Failed     []rawExpectation `toml:"failed" doc:"events that routes must have given up, kept or not"`
	Dead       []rawExpectation `toml:"dead" doc:"events and messages that must have become dead letters"`
	Published  []rawExpectation `toml:"published" doc:"messages that handlers must have published"`
	Rejected   []rawExpectation `toml:"rejected" doc:"messages that must have been no events"`
	Unmatched  []rawExpectation `toml:"unmatched" doc:"events that no route may take"`
}

type rawSend struct {
	located
	Channel string        `toml:"channel" doc:"the declared channel to send to"`
	Name    string        `toml:"name" doc:"on a pattern: the name in Redis to send to, such as sensors:oven-3"`
	Message table         `toml:"message" doc:"the message, sent as JSON"`
	File    string        `toml:"file" doc:"a file of messages, one a line"`
	Text    *string       `toml:"text" doc:"the message as it is, for one that is no JSON"`
	After   time.Duration `toml:"after" min:"0s" max:"720h" doc:"how long after the one before it is sent"`
}

// rawExpectation is what one event or message must be like. The tag in says in which lists
// a key has a meaning; without it, in all.
type rawExpectation struct {
	located
	Handler  string `toml:"handler" in:"handled,not_handled,skipped,failed,dead" doc:"the handler"`
	Route    string `toml:"route" in:"handled,not_handled,skipped,failed,dead" doc:"the route"`
	Channel  string `toml:"channel" doc:"the declared channel"`
	Type     string `toml:"type" in:"handled,not_handled,skipped,failed,dead,published,unmatched" doc:"the type"`
	ID       string `toml:"id" in:"handled,not_handled,skipped,failed,dead,published,unmatched" doc:"the id"`
	Key      string `toml:"key" in:"handled,not_handled,skipped,failed,dead,published,unmatched" doc:"the key"`
	Message  table  `toml:"message" in:"handled,not_handled,skipped,failed,dead,published,unmatched" doc:"what the message has among others"`
	Data     table  `toml:"data" in:"handled,not_handled,skipped,failed,dead,published,unmatched" doc:"what the data have among others"`
	Attempts int    `toml:"attempts" min:"1" in:"handled,failed,dead" doc:"how many attempts were made"`
	Reason   string `toml:"reason" in:"skipped,failed,dead,rejected" doc:"why"`
}

func (e *rawExpectation) decodeNode(d *decoder, n *node) {
	if n.table == nil {
		d.failf(n, "want a table, have %s; write %s = [{ handler = \"…\" }]", n.kind(), n.path[2])
		return
	}
	list := n.path[2]
	var foreign []string
	for _, field := range fieldsOf(reflect.TypeFor[rawExpectation]()) {
		in, some := field.Tag.Lookup("in")
		if key := tagName(field); some && !slices.Contains(strings.Split(in, ","), list) && n.table[key] != nil {
			d.report.errorf(n.table[key].key, "%s: %q says nothing of what is %s; remove it%s", n.label(), key, strings.ReplaceAll(list, "_", " "), listing("keys", keysIn(list)))
			foreign = append(foreign, key)
		}
	}
	if len(foreign) == 0 {
		d.table(n, reflect.ValueOf(e).Elem())
	}
	e.locate(n)
}

// keysIn are the keys of an expectation that mean something in a list.
func keysIn(list string) []string {
	var keys []string
	for _, field := range fieldsOf(reflect.TypeFor[rawExpectation]()) {
		if in, some := field.Tag.Lookup("in"); !some || slices.Contains(strings.Split(in, ","), list) {
			keys = append(keys, tagName(field))
		}
	}
	return keys
}

// moment is a time: a text in RFC 3339, or TOML's own with a zone.
type moment struct {
	time.Time
}

func (m *moment) decodeNode(d *decoder, n *node) {
	switch v := n.value.(type) {
	case time.Time:
		m.Time = v
		return
	case string:
		at, err := time.Parse(time.RFC3339, v)
		if err == nil {
			m.Time = at
			return
		}
	}
	d.failf(n, `want a time such as "2026-11-21T23:30:00Z", have %s`, n.kind())
}

// rawAnswers is one word or a list of them, which may repeat.
type rawAnswers []name

func (w *rawAnswers) decodeNode(d *decoder, n *node) {
	list := n.list
	if list == nil {
		list = []*node{n}
	}
	for _, item := range list {
		text, ok := item.value.(string)
		if !ok {
			d.failf(item, `want an answer or a list of answers, such as ["error", "ok"], have %s`, item.kind())
			continue
		}
		*w = append(*w, name{text, item})
	}
	if len(list) == 0 {
		d.failf(n, `the list is empty; write what it answers, such as ["error", "ok"]`)
	}
}

// table is a table as JSON; nil: there is none.
type table json.RawMessage

func (t *table) decodeNode(d *decoder, n *node) {
	if n.table == nil {
		d.failf(n, "want a table, have %s; write { key = value }", n.kind())
		return
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(n.plain()); err != nil { // nan and inf, which TOML has and JSON not
		d.failf(n, "is not JSON: %s", err)
		return
	}
	*t = table(strings.TrimSuffix(out.String(), "\n"))
}

// answerWords are what a handler can answer.
func answerWords() []string {
	return []string{"ok", "error", "permanent", "unavailable", "timeout", "panic"}
}

// skipReasons are why a route passes over an event: the keys of the route that say so.
func skipReasons() []string { return []string{"max_age", "when", "dedupe"} }

func deadReasons() []string {
	var words []string
	for _, reason := range router.Reasons() {
		words = append(words, string(reason))
	}
	return words
}
