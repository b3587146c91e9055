package routesfile

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"signalbox/router"
)

// source is a source that is declared.
type source struct {
	router.SourceSpec
	raw  *rawSource
	kind router.SourceInfo
	off  bool
	env  map[string]string
}

func (s *rawSource) decodeNode(d *decoder, n *node) {
	s.locate(n)
	if n.table == nil {
		d.failf(n, "want a table, have %s; write [sources.%s]", n.kind(), n.name())
		return
	}
	var options []string
	common := sourceKeys()
	for _, child := range n.children() {
		if !slices.Contains(common, child.name()) {
			options = append(options, child.name())
		}
	}
	d.table(n, reflect.ValueOf(s).Elem(), options...)
}

// sourceKeys are the keys of every source.
func sourceKeys() []string { return keyNames(reflect.TypeFor[rawSource]()) }

// rawSequence is what a source says under seq: a path, or a table with it.
type rawSequence struct {
	located
	Path     path   `toml:"path" required:"true" doc:"path of the number"`
	Per      string `toml:"per" enum:"key,session" otherwise:"session" doc:"key: each key is counted by itself; session: all messages of a session are"`
	Step     int64  `toml:"step" min:"1" otherwise:"1" doc:"what the number grows by"`
	Previous path   `toml:"previous" doc:"path of the number of the message before, where the other side tells it"`
	Snapshot path   `toml:"snapshot" doc:"path of what only messages have that begin a count anew"`
}

func (r *rawSequence) decodeNode(d *decoder, n *node) {
	r.locate(n)
	if n.table == nil {
		r.Path.decodeNode(d, n)
		return
	}
	d.table(n, reflect.ValueOf(r).Elem())
	switch {
	case n.get("path") == nil && !n.mistypes("path", keyNames(reflect.TypeFor[rawSequence]())):
		d.failf(n, `path is missing; write { path = "seq" }`)
	case n.written("step") && n.written("previous"):
		d.report.errorf(n.get("step").key, "%s: has both step and previous, which says of each message what came before it; remove step", n.label())
	}
}

func (c *compiler) compileSources() {
	c.sources = make(map[string]*source, len(c.raw.Sources))
	for _, name := range slices.Sorted(maps.Keys(c.raw.Sources)) {
		raw := c.raw.Sources[name]
		one := &source{raw: raw, env: c.env}
		one.Name = name
		c.sources[name] = one
		if raw.node.table == nil {
			continue
		}
		c.report.checkName(raw.node.key, "source", name)
		c.compileSource(one)
	}
}

func (c *compiler) compileSource(one *source) {
	raw, n := one.raw, one.raw.node
	one.off = raw.Enabled != nil && !*raw.Enabled
	one.Channel, one.Raw = raw.Channel, raw.Raw
	one.Lease, one.LeaseFor, one.StandDown = raw.Lease, raw.LeaseFor, raw.StandDown
	one.Conflict, one.TakeoverDelay = router.Conflict(raw.Conflict), raw.takeoverDelay()
	one.Backoff, one.MaxBackoff = raw.Backoff, raw.MaxBackoff
	one.Budget = raw.budget()
	one.StaleAfter, one.Hours = raw.StaleAfter.limits(), raw.Hours
	one.Queue, one.QueueBytes = raw.Queue, int(raw.QueueBytes)
	one.Fields = router.Fields{
		Type: string(raw.TypeField), DefaultType: raw.DefaultType, ID: string(raw.IDField), Time: string(raw.TimeField),
		Key: string(raw.KeyField), Split: string(raw.Split),
	}
	one.Sequence = raw.sequence()
	if to := c.channelOf(one); to != nil {
		one.inherit(to)
		c.checkSource(one, to)
		to.sources = append(to.sources, one)
	}
	c.checkPauses(raw)
	found, ok := c.kindOf(n, sourceKinds(c.kinds), sourceKeys()...)
	if !ok {
		return
	}
	one.kind, _ = c.kinds.Source(found.name)
	one.Kind = found.name
	one.decode(n, c.report, !c.sealed)
	one.Revision = fingerprint([]any{one.Kind, one.Fields, n.said()})
	one.New = one.session
}

// takeoverDelay is nothing where a new session ends the old one, whoever has it.
func (s *rawSource) takeoverDelay() time.Duration {
	switch {
	case s.TakeoverDelay != nil:
		return *s.TakeoverDelay
	case s.Conflict == string(router.Evicts):
		return 0
	}
	return 10 * time.Second
}

func (s *rawSource) budget() router.Budget {
	said := cmp.Or(s.ConnectBudget, &rawBudget{})
	return router.Budget{Connects: cmp.Or(said.Connects, 20), Per: cmp.Or(said.Per, 10*time.Minute)}
}

func (s *rawSource) sequence() *router.Sequence {
	if s.Seq == nil {
		return nil
	}
	return &router.Sequence{
		Path: string(s.Seq.Path), PerKey: s.Seq.Per == "key", Step: cmp.Or(s.Seq.Step, 1),
		Previous: string(s.Seq.Previous), Snapshot: string(s.Seq.Snapshot),
	}
}

// channelOf is the channel that a source publishes to; nil when there is none, or when it is
// not known.
func (c *compiler) channelOf(one *source) *channel {
	n := one.raw.node
	value := n.get("channel")
	switch {
	case value == nil && n.mistypes("channel", sourceKeys()): // reported
		return nil
	case value == nil:
		c.report.errorf(n.key, "%s: channel is missing; name the declared channel to publish to", n.subject())
		return nil
	case value.skipped || value.value != one.raw.Channel:
		return nil
	}
	to := c.channels[one.Channel]
	switch {
	case to == nil && c.report.full():
		c.report.errorf(value.at, "")
	case to == nil:
		c.report.errorf(value.at, "%s: unknown channel %s%s", n.subject(), value.quoted(one.Channel), didYouMean(one.Channel, "channels", slices.Collect(maps.Keys(c.channels))))
	case to.Pattern:
		c.report.errorf(value.at, "%s: publishes to channel %q, which is the pattern %q; a message needs one name: declare a channel with name for it", n.subject(), to.Name, to.Topic)
		return nil
	}
	return to
}

// inherit takes from the channel what the source does not say of where messages keep their
// fields. What is published as it arrived is laid out as the channel says; else it is the
// data of an envelope, in which the channel may find the key.
func (s *source) inherit(to *channel) {
	if key, inData := strings.CutPrefix(to.Fields.Key, "data."); inData && !s.Raw {
		s.Fields.Key = cmp.Or(s.Fields.Key, key)
	}
	if s.Raw {
		s.Fields.Type = cmp.Or(s.Fields.Type, to.Fields.Type)
		s.Fields.DefaultType = cmp.Or(s.Fields.DefaultType, to.Fields.DefaultType)
		s.Fields.ID = cmp.Or(s.Fields.ID, to.Fields.ID)
		s.Fields.Time = cmp.Or(s.Fields.Time, to.Fields.Time)
		s.Fields.Key = cmp.Or(s.Fields.Key, to.Fields.Key)
	}
}

// inheritLiveness gives each channel the limits of its sources, unless it has its own.
func (c *compiler) inheritLiveness() {
	for _, to := range c.channels {
		for _, one := range to.sources {
			if n := to.raw.node; n.written("stale_after") || to.StaleAfter != (router.StaleAfter{}) {
				break
			}
			to.StaleAfter = one.StaleAfter
			if !to.raw.node.written("hours") {
				to.Hours = one.Hours
			}
		}
	}
}

// mustNotClash panics when a kind has an option that is a key of every source: nobody could
// set it.
func mustNotClash(kind router.SourceInfo) {
	options := reflect.TypeOf(kind.Options()).Elem()
	if options.Kind() != reflect.Struct {
		return
	}
	for _, name := range keyNames(options) {
		if slices.Contains(sourceKeys(), name) {
			panic(fmt.Sprintf("routesfile: kind of source %q has the option %q, which is a key of every source", kind.Name, name))
		}
	}
}
