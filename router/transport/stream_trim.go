package transport

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// trimmedPrefix begins the keys that hold a missedNote: how many were reported.
const trimmedPrefix = "signalbox:trimmed:"

func trimmedKey(topic, group string) string { return trimmedPrefix + topic + ":" + group }

// progress is how far a group is in its stream.
type progress struct {
	stream   streamInfo
	group    groupInfo
	reported int64 // of what the group missed
}

// progress asks how far the group is, and reports what it has missed. ok is false when
// there is nothing to learn.
//
// The stream is asked first: when the group has read nothing of what the stream had
// then, the two belong together although they are two answers.
func (s *streamSub) progress() (p progress, ok bool) {
	var err error
	if p.stream, ok, err = s.streamInfo(); err != nil || !ok {
		return p, false
	}
	if p.group, ok, err = s.groupInfo(s.cfg.Group); err != nil || !ok || p.group.read == unknown {
		return p, false
	}
	noted, err := s.notedMissed()
	if err != nil {
		return p, false
	}
	p.reported = noted.events
	run := s.runID()
	if missed, exact := p.stream.missed(p.group); missed != unknown && (missedNote{missed, run}) != noted {
		s.reportMissed(missedNote{missed, run}, exact)
		p.reported = missed
	}
	return p, true
}

// missedNote is how many entries a group has missed, in which run of Redis: one that starts
// again from its append-only file may have forgotten how many it had delivered (7.0 does), and
// what is missing then was not lost. The run is empty where Redis does not tell.
type missedNote struct {
	events int64
	run    string
}

func (n missedNote) String() string { return strings.TrimSpace(fmt.Sprint(n.events, " ", n.run)) }

func parseMissed(text string) (n missedNote) {
	events, run, _ := strings.Cut(text, " ")
	n.events, _ = strconv.ParseInt(events, 10, 64)
	n.run = run
	return n
}

// another reports whether two notes are of different runs, as far as is known.
func (n missedNote) another(other missedNote) bool {
	return n.run != "" && other.run != "" && n.run != other.run
}

// runID tells one run of a Redis from another; empty where it isn't told.
func (s *streamSub) runID() string {
	ctx, cancel := s.commandContext()
	defer cancel()
	info, err := s.r.writer.Info(ctx, "server").Result()
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(info, "run_id:")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}

// reportMissed reports what was missed and not reported yet, by whichever process of the
// group: how much was is kept in Redis, and only who changes it reports. It is less than
// before when Redis has begun to count anew.
func (s *streamSub) reportMissed(missed missedNote, exact bool) {
	ctx, cancel := s.commandContext()
	defer cancel()
	text, err := s.r.writer.SetArgs(ctx, trimmedKey(s.topic, s.cfg.Group), missed.String(), redis.SetArgs{Get: true}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return // full, or away: the next time
	}
	before := parseMissed(text)
	switch fresh := missed.events - before.events; {
	case fresh <= 0:
	case missed.another(before):
		s.log.Info("redis was started again and counts anew how far the group is; entries that were trimmed meanwhile are not counted")
	case exact:
		s.log.Warn("stream entries were trimmed before they were delivered", "events", fresh)
		s.r.lose(Loss{Topic: s.topic, Reason: LossTrimmed, Events: int(fresh)})
	default:
		s.log.Warn("stream entries were deleted before they were delivered; nobody knows how many of them were trimmed", "events", fresh)
	}
}

// notedMissed is what was noted last, by whichever process of the group.
func (s *streamSub) notedMissed() (missedNote, error) {
	ctx, cancel := s.commandContext()
	defer cancel()
	return s.r.notedMissed(ctx, s.topic, s.cfg.Group)
}

func (r *Redis) notedMissed(ctx context.Context, topic, group string) (missedNote, error) {
	text, err := r.writer.Get(ctx, trimmedKey(topic, group)).Result()
	if errors.Is(err, redis.Nil) {
		return missedNote{}, nil
	}
	return parseMissed(text), err
}

// trimWatch warns when what is not delivered yet will soon be trimmed.
type trimWatch struct {
	gone    int64 // entries that were added and are not in the stream, at the last look
	deleted streamID
	looked  bool
	near    episode
}

// Between the two the warning stands.
const (
	nearTrim = 0.8 // of the stream's length waits for the group
	farTrim  = 0.5
)

// look is told of a stream whose group has waiting entries yet to be delivered. It reports
// whether to warn, and whether a warning is over.
//
// A stream has no limit that one could ask for: how long it is when it is being trimmed is
// the limit. Consumers that XDEL what they have handled look like trimming, but for the
// largest id that was deleted.
func (w *trimWatch) look(s streamInfo, waiting int64) (warn, over bool) {
	gone := s.added - s.length
	trimmed := w.looked && gone > w.gone && s.deleted == w.deleted
	w.gone, w.deleted, w.looked = gone, s.deleted, true
	share := float64(waiting) / float64(max(1, s.length))
	switch {
	case trimmed && share >= nearTrim:
		return w.near.begin(), false
	case share < farTrim:
		_, was := w.near.end()
		return false, was
	default:
		return false, false
	}
}

// watchTrimming looks once, if it is time. The answer holds the first and the last entry
// in full, and those may be large: looking takes a fiftieth of the time at most.
func (t *tender) watchTrimming() {
	begin := time.Now()
	if begin.Before(t.nextTrimLook) {
		return
	}
	p, ok := t.progress()
	now := time.Now()
	t.nextTrimLook = now.Add(50 * now.Sub(begin))
	if !ok {
		return
	}
	length := p.stream.length
	waiting := min(length, p.stream.added-p.group.read-p.reported)
	warn, over := t.trims.look(p.stream, waiting)
	if warn {
		t.log.Warn("stream is trimmed close behind what is not delivered yet: soon events will be lost", "waiting", waiting, "length", length)
	}
	if over {
		t.log.Info("stream is no longer trimmed close behind what is not delivered yet", "waiting", waiting, "length", length)
	}
}
