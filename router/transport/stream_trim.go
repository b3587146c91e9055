package transport

import (
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// trimmedPrefix begins the keys that hold how many of the missed entries were reported.
const trimmedPrefix = "signalbox:trimmed:"

func (s *streamSub) trimmedKey() string { return trimmedPrefix + s.topic + ":" + s.cfg.Group }

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
	if p.reported, err = s.reportedMissed(); err != nil {
		return p, false
	}
	if missed, exact := p.stream.missed(p.group); missed != unknown && missed != p.reported {
		s.reportMissed(missed, exact)
		p.reported = missed
	}
	return p, true
}

// reportMissed reports what was missed and not reported yet, by whichever process of the
// group: how much was is kept in Redis, and only who changes it reports. It is less than
// before when Redis has begun to count anew.
func (s *streamSub) reportMissed(missed int64, exact bool) {
	ctx, cancel := s.commandContext()
	defer cancel()
	before, err := s.r.writer.SetArgs(ctx, s.trimmedKey(), missed, redis.SetArgs{Get: true}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return // full, or away: the next time
	}
	reported, _ := strconv.ParseInt(before, 10, 64)
	switch fresh := missed - reported; {
	case fresh <= 0:
	case exact:
		s.log.Warn("stream entries were trimmed before they were delivered", "events", fresh)
		s.r.lose(Loss{Topic: s.topic, Reason: LossTrimmed, Events: int(fresh)})
	default:
		s.log.Warn("stream entries were deleted before they were delivered; nobody knows how many of them were trimmed", "events", fresh)
	}
}

func (s *streamSub) reportedMissed() (int64, error) {
	ctx, cancel := s.commandContext()
	defer cancel()
	n, err := s.r.writer.Get(ctx, s.trimmedKey()).Int64()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return n, err
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
