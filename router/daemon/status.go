package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signalbox/router"
	"signalbox/router/internal/wording"
	"signalbox/router/transport"
)

// StatusOptions say how to show what is in Redis.
type StatusOptions struct {
	JSON  bool
	Check bool // a problem is an error
}

// Status prints what Redis tells of each declared channel: who listens, which groups read it
// and how far they are, who died with entries in hand, what was lost and given up; and who
// holds each source. It changes nothing in Redis.
func Status(ctx context.Context, opts Options, what StatusOptions) error {
	opts.Source.Check = true
	p, err := openQuietly(opts)
	if err != nil {
		return err
	}
	defer p.close()
	if err := lacks(opts.Source, p.loaded.Notes, p.declared(), "service.name"); err != nil {
		return err
	}
	if err := p.mustReach(ctx); err != nil {
		return err
	}
	s := newSurvey(p)
	found, unread := s.look(ctx)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err := s.print(found, what.JSON, unread == nil); err != nil {
		return err
	}
	if unread != nil {
		return unread
	}
	if n := found.problems(); what.Check && n > 0 {
		return errors.New(wording.Several(int64(n), "problem", "problems"))
	}
	return nil
}

// survey looks at what is declared.
type survey struct {
	*program
	streams map[string]surveyed // that were looked at, by their names in Redis
	groups  map[string]groups   // by channel
	now     time.Time
}

type surveyed struct {
	transport.StreamStatus
	err error
}

// groups are those that the routers of a configuration read a channel with, and the
// isolated route of each, which is empty for the group of all others.
type groups map[string]string

func newSurvey(p *program) *survey {
	return &survey{program: p, streams: map[string]surveyed{}, groups: groupsOf(p.loaded.Config), now: p.redis.Now()}
}

// groupsOf are the groups of each channel that has routes.
func groupsOf(cfg router.Config) map[string]groups {
	all, base := map[string]groups{}, map[string]string{}
	for _, ch := range cfg.Channels {
		base[ch.Name] = ch.Group
	}
	for _, r := range cfg.Routes {
		if all[r.Channel] == nil {
			all[r.Channel] = groups{}
		}
		if r.Isolated {
			all[r.Channel][base[r.Channel]+"."+r.Name] = r.Name
		} else {
			all[r.Channel][base[r.Channel]] = ""
		}
	}
	return all
}

// channelStatus is a channel as `status -o json` prints it.
type channelStatus struct {
	Channel     string           `json:"channel"`
	Transport   router.Transport `json:"transport"`
	Name        string           `json:"name"`                  // in Redis
	Subscribers *int64           `json:"subscribers,omitempty"` // to this name
	Patterns    *int64           `json:"patterns,omitempty"`    // that anybody listens to
	Length      *int64           `json:"length,omitempty"`
	MaxLen      int64            `json:"max_len,omitempty"`
	Newest      *time.Time       `json:"newest,omitempty"`
	Groups      []groupStatus    `json:"groups,omitempty"`
	DeadLetters []deadStatus     `json:"dead_letters,omitempty"`
	remarks
}

// groupStatus is a consumer group of a stream.
type groupStatus struct {
	Group     string           `json:"group"`
	Own       bool             `json:"own"`             // a router of this configuration reads it
	Route     string           `json:"route,omitempty"` // whose own group it is
	Lag       *int64           `json:"lag"`             // null: Redis cannot tell
	Pending   int64            `json:"pending"`
	Oldest    *pendingStatus   `json:"oldest,omitempty"`
	Trimmed   int64            `json:"trimmed"`
	Consumers []consumerStatus `json:"consumers"`
}

type pendingStatus struct {
	ID         string    `json:"id"`
	Added      time.Time `json:"added"`
	Consumer   string    `json:"consumer"`
	State      string    `json:"state"` // of the consumer
	Deliveries int64     `json:"deliveries"`
}

type consumerStatus struct {
	Consumer string  `json:"consumer"`
	State    string  `json:"state"`
	Pending  int64   `json:"pending"`
	Idle     float64 `json:"idle_seconds"`
}

// What is known of a consumer. One that is dead and has nothing pending is only a name.
const (
	stateAlive   = "alive"
	stateDead    = "dead"
	stateForeign = "foreign" // no Signalbox process: nobody knows
)

// deadStatus is a stream that may hold dead letters of a channel.
type deadStatus struct {
	Stream  string     `json:"stream"`
	Letters int64      `json:"letters"`
	Newest  *time.Time `json:"newest,omitempty"`
}

// remark is something to know, and what to do.
type remark struct {
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// remarks are those on a channel or a source.
type remarks struct {
	Problems []remark `json:"problems"`
	Notes    []remark `json:"notes"`
}

func noRemarks() remarks { return remarks{Problems: []remark{}, Notes: []remark{}} }

// findings are what a survey has found.
type findings struct {
	channels []*channelStatus
	sources  []*sourceStatus
}

func (f findings) problems() (n int) {
	for _, ch := range f.channels {
		n += len(ch.Problems)
	}
	for _, one := range f.sources {
		n += len(one.Problems)
	}
	return n
}

// look looks at all that is declared.
func (s *survey) look(ctx context.Context) (findings, error) {
	channels, unread := s.channels(ctx)
	sources, unheld := s.sourcesIn(ctx)
	return findings{channels, sources}, errors.Join(unread, unheld)
}

// channels looks at the declared channels. What cannot be read hides nothing of the others.
func (s *survey) channels(ctx context.Context) ([]*channelStatus, error) {
	var channels []*channelStatus
	var unread []error
	for _, ch := range s.loaded.Config.Channels {
		status := &channelStatus{Channel: ch.Name, Transport: ch.Transport, Name: ch.Topic, remarks: noRemarks()}
		look := s.pubsub
		if ch.Transport == router.Stream {
			look = s.stream
		}
		unread = append(unread, look(ctx, ch, status), s.deadLetters(ctx, ch, status))
		s.judge(ch, status)
		channels = append(channels, status)
	}
	return channels, errors.Join(unread...)
}

func (s *survey) pubsub(ctx context.Context, ch router.Channel, status *channelStatus) error {
	each, patterns, err := s.redis.Subscribers(ctx, ch.Topic)
	if err != nil {
		return fmt.Errorf("channel %q: %w", ch.Name, err)
	}
	status.Patterns = &patterns
	if !ch.Pattern {
		n := each[ch.Topic]
		status.Subscribers = &n
	}
	return nil
}

// at looks at a stream, once.
func (s *survey) at(ctx context.Context, topic string) (status transport.StreamStatus, again bool, err error) {
	one, again := s.streams[topic]
	if !again {
		one.StreamStatus, one.err = s.redis.StreamStatus(ctx, topic)
		s.streams[topic] = one
	}
	return one.StreamStatus, again, one.err
}

func (s *survey) stream(ctx context.Context, ch router.Channel, status *channelStatus) error {
	found, _, err := s.at(ctx, ch.Topic)
	status.Length, status.MaxLen = &found.Length, ch.MaxLen
	if !found.Newest.IsZero() {
		status.Newest = &found.Newest
	}
	own := s.groups[ch.Name]
	for _, g := range found.Groups {
		row := newGroupStatus(g)
		row.Route, row.Own = own[g.Name]
		status.Groups = append(status.Groups, row)
	}
	if err != nil {
		return fmt.Errorf("channel %q: %w", ch.Name, err)
	}
	return nil
}

func newGroupStatus(g transport.GroupStatus) groupStatus {
	row := groupStatus{Group: g.Name, Pending: g.Pending, Trimmed: g.Trimmed, Consumers: []consumerStatus{}}
	if g.Lag >= 0 {
		row.Lag = &g.Lag
	}
	for _, c := range g.Consumers {
		row.Consumers = append(row.Consumers, consumerStatus{c.Name, stateOf(c), c.Pending, c.Idle.Seconds()})
		if c.Name == g.Oldest.Consumer {
			row.Oldest = &pendingStatus{g.Oldest.ID, g.Oldest.Added, c.Name, stateOf(c), g.Oldest.Deliveries}
		}
	}
	return row
}

func stateOf(c transport.ConsumerStatus) string {
	switch {
	case c.Alive:
		return stateAlive
	case c.Ours:
		return stateDead
	}
	return stateForeign
}

// in counts the consumers of a state, and what is pending of these.
func (g *groupStatus) in(state string) (consumers int, pending int64) {
	for _, c := range g.Consumers {
		if c.State == state {
			consumers++
			pending += c.Pending
		}
	}
	return consumers, pending
}

func (s *survey) deadLetters(ctx context.Context, ch router.Channel, status *channelStatus) error {
	var unread []error
	for _, place := range s.loaded.Config.DeadLetters(ch.Name) {
		found, again, err := s.at(ctx, place.Topic)
		if err != nil && !again {
			unread = append(unread, fmt.Errorf("dead letters of channel %q: %w", ch.Name, err))
		}
		row := deadStatus{Stream: place.Topic, Letters: found.Length}
		if found.Length > 0 {
			row.Newest = &found.Newest
		}
		status.DeadLetters = append(status.DeadLetters, row)
	}
	return errors.Join(unread...)
}
