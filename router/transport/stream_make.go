package transport

import (
	"strings"

	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/failpoint"
)

// makeGroup makes the group if it is missing.
//
// Redis is told how many entries were added before the place where it begins. Else it
// would not know before the group's first read, and nobody how many were trimmed until
// then.
func (r *reader) makeGroup() error {
	info, counts, err := r.streamInfo()
	if err != nil && !isReply(err) {
		return err
	}
	start, err := r.start(info.last)
	if err != nil {
		return err
	}
	ctx, cancel := r.commandContext()
	defer cancel()
	create := []any{"XGROUP", "CREATE", r.topic, r.cfg.Group, start, "MKSTREAM"}
	place := info.place(start)
	counts = counts && place != unknown
	if counts {
		err = r.r.writer.Do(ctx, append(create, "ENTRIESREAD", place)...).Err()
	}
	if !counts || hasReply(err, "ERR") { // before 7.0 there is no ENTRIESREAD
		err = r.r.writer.Do(ctx, create...).Err()
	}
	switch {
	case hasReply(err, "BUSYGROUP"):
		return nil
	case err != nil:
		return err
	default:
		return r.r.writer.Del(ctx, trimmedKey(r.topic, r.cfg.Group)).Err() // of an earlier group of that name
	}
}

// start is the id behind which the group begins, if it is missing. The end of the stream
// is last, the one that its other numbers belong to; "$" could be a later one.
func (r *reader) start(last string) (string, error) {
	if r.again && failpoint.Broken(failpoint.GroupAtEnd) {
		return "$", nil
	}
	if r.again {
		return "0-0", nil // what was added since it vanished must not be lost
	}
	if r.cfg.Like != "" {
		like, ok, err := r.groupInfo(r.cfg.Like)
		if err != nil {
			return "", err
		}
		if ok {
			return r.behind(like)
		}
	}
	if !r.cfg.StartNew {
		return "0-0", nil
	}
	if last == "" { // the stream cannot be asked
		return "$", nil
	}
	return last, nil
}

// behind is the last id that the group to be like has delivered. Where other processes
// have older entries of it pending, it is one before the oldest of those: who takes them
// over acknowledges them, and by then knows nothing of who reads this group now.
func (r *reader) behind(like groupInfo) (string, error) {
	ctx, cancel := r.commandContext()
	defer cancel()
	pending, err := r.r.writer.XPending(ctx, r.topic, r.cfg.Like).Result()
	if err != nil {
		return "", err
	}
	start := like.delivered
	for consumer := range pending.Consumers {
		if consumer == r.r.consumer || !strings.HasPrefix(consumer, consumerPrefix) {
			continue // what we have in hand we finish; others than our like take nothing over
		}
		oldest, err := r.r.writer.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: r.topic, Group: r.cfg.Like, Consumer: consumer, Start: "-", End: "+", Count: 1,
		}).Result()
		if err != nil {
			return "", err
		}
		if len(oldest) > 0 && !parseID(start).before(parseID(oldest[0].ID)) {
			start = parseID(oldest[0].ID).previous().String()
		}
	}
	return start, nil
}
