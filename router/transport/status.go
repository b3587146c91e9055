package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// StreamStatus is what Redis tells of a stream at one moment. The zero value is one that is
// not there.
type StreamStatus struct {
	Exists bool
	Length int64
	Newest time.Time // when its last entry was added, by the entry's id; zero without one
	Groups []GroupStatus
}

// GroupStatus is what Redis tells of a consumer group.
type GroupStatus struct {
	Name      string
	Lag       int64 // entries of the stream that nobody of the group has read yet; -1: Redis cannot tell
	Pending   int64 // entries that were read and are not acknowledged
	Oldest    PendingStatus
	Trimmed   int64 // entries that the group never read, and its routers have reported as lost
	Consumers []ConsumerStatus
}

// PendingStatus is the oldest entry that is pending. The zero value is none.
type PendingStatus struct {
	ID         string
	Added      time.Time // to the stream, by its id
	Consumer   string
	Deliveries int64
}

// ConsumerStatus is what Redis tells of a consumer.
type ConsumerStatus struct {
	Name    string
	Ours    bool // of a Signalbox process; only of these is it known whether they live
	Alive   bool // its mark is there
	Pending int64
	Idle    time.Duration // since it last asked for entries
}

// StreamStatus looks at a stream, its groups and their consumers, and changes nothing.
// What one command is refused hides nothing that the others tell: the status is then
// returned with an error.
func (r *Redis) StreamStatus(ctx context.Context, topic string) (StreamStatus, error) {
	kind, err := r.writer.Type(ctx, topic).Result()
	switch {
	case err != nil:
		return StreamStatus{}, fmt.Errorf("TYPE %q: %w", topic, err)
	case kind == "none":
		return StreamStatus{}, nil
	case kind != "stream":
		return StreamStatus{Exists: true}, fmt.Errorf("%q is a %s, and no stream", topic, kind)
	}
	status := StreamStatus{Exists: true}
	var errs []error
	info, _, err := r.streamInfo(ctx, topic)
	if err != nil {
		errs = append(errs, fmt.Errorf("XINFO STREAM %q: %w", topic, err))
	}
	status.Length = info.length
	if id := parseID(info.last); id.ms > 0 {
		status.Newest = time.UnixMilli(int64(id.ms)) //nolint:gosec // a time of this age
	}
	groups, err := r.groupInfos(ctx, topic)
	if err != nil {
		errs = append(errs, fmt.Errorf("XINFO GROUPS %q: %w", topic, err))
	}
	for _, g := range groups {
		one, err := r.groupStatus(ctx, topic, info, g)
		status.Groups = append(status.Groups, one)
		errs = append(errs, err)
	}
	return status, errors.Join(errs...)
}

func (r *Redis) groupStatus(ctx context.Context, topic string, stream streamInfo, g namedGroup) (GroupStatus, error) {
	// Redis 7.0 counts what was trimmed meanwhile, too.
	status := GroupStatus{Name: g.name, Lag: min(g.lag, stream.length), Pending: g.pending}
	switch {
	case g.delivered == stream.last: // the embedded Redis says the length here
		status.Lag = 0
	case g.lag == unknown && parseID(g.delivered) == (streamID{}):
		status.Lag = stream.length
	}
	var errs []error
	fail := func(command string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %q, group %q: %w", command, topic, g.name, err))
		}
	}
	var err error
	status.Consumers, err = r.consumerStatus(ctx, topic, g.name)
	fail("XINFO CONSUMERS", err)
	if g.pending > 0 {
		status.Oldest, err = r.oldestPending(ctx, topic, g.name)
		fail("XPENDING", err)
	}
	noted, err := r.notedMissed(ctx, topic, g.name)
	fail("GET "+trimmedPrefix+"… for", err)
	status.Trimmed = noted.events
	return status, errors.Join(errs...)
}

func (r *Redis) consumerStatus(ctx context.Context, topic, group string) ([]ConsumerStatus, error) {
	found, err := r.writer.XInfoConsumers(ctx, topic, group).Result()
	if err != nil && !isNoGroup(err) {
		return nil, err
	}
	var consumers []ConsumerStatus
	var ours []string
	for _, c := range found {
		one := ConsumerStatus{Name: c.Name, Ours: strings.HasPrefix(c.Name, consumerPrefix), Pending: c.Pending, Idle: max(c.Idle, 0)}
		if one.Ours {
			ours = append(ours, c.Name)
		}
		consumers = append(consumers, one)
	}
	// A server may not list one that has read nothing yet, as the embedded one does.
	if name := r.announced(ctx, topic, group); name != "" && !slices.Contains(ours, name) {
		ours = append(ours, name)
		consumers = append(consumers, ConsumerStatus{Name: name, Ours: true})
	}
	unmarked, err := r.unmarked(ctx, ours)
	if err != nil {
		return consumers, err
	}
	for i, c := range consumers {
		consumers[i].Alive = c.Ours && !slices.Contains(unmarked, c.Name)
	}
	return consumers, nil
}

// announced is the consumer that was the last to say what the group's routers do; empty when
// nobody has lately, or the user may not ask.
func (r *Redis) announced(ctx context.Context, topic, group string) string {
	said, _ := r.writer.Get(ctx, routesPrefix+topic+":"+group).Result()
	_, name, _ := strings.Cut(said, " ")
	return name
}

func (r *Redis) oldestPending(ctx context.Context, topic, group string) (PendingStatus, error) {
	page, err := r.writer.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: topic, Group: group, Start: "-", End: "+", Count: 1}).Result()
	if err != nil || len(page) == 0 {
		return PendingStatus{}, err
	}
	oldest := page[0]
	return PendingStatus{
		ID: oldest.ID, Consumer: oldest.Consumer, Deliveries: oldest.RetryCount,
		Added: time.UnixMilli(int64(parseID(oldest.ID).ms)), //nolint:gosec // a time of this age
	}, nil
}

// Subscribers is how many connections listen to each of the names on Pub/Sub, and to how
// many patterns any do: who listens to which pattern, Redis does not tell.
func (r *Redis) Subscribers(ctx context.Context, names ...string) (each map[string]int64, patterns int64, err error) {
	if each, err = r.writer.PubSubNumSub(ctx, names...).Result(); err != nil {
		return nil, 0, fmt.Errorf("PUBSUB NUMSUB: %w", err)
	}
	if patterns, err = r.writer.PubSubNumPat(ctx).Result(); err != nil {
		return each, 0, fmt.Errorf("PUBSUB NUMPAT: %w", err)
	}
	return each, patterns, nil
}
