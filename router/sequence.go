package router

import (
	"strconv"
	"strings"
)

// maxMissing is the largest gap: a number that is further ahead is no count of messages.
const maxMissing = 1 << 32

// maxSequences is how many keys of a channel are followed, at most.
const maxSequences = 100_000

// sequence is the number that a producer gave a message, if there is one.
type sequence struct {
	n     uint64
	known bool
}

// sequenceOf reads a whole number, also one that is text; anything else counts as missing.
func sequenceOf(v *found) sequence {
	if v.kind == missing {
		return sequence{}
	}
	n, err := strconv.ParseUint(v.text(), 10, 64)
	return sequence{n, err == nil}
}

// sequences follows the numbers that a producer gives its messages, per key, and so
// knows exactly how many did not arrive. One goroutine uses it.
type sequences struct {
	last map[string]uint64 // by key
	full bool
}

// sameNumbers reports whether the numbers of a producer go on: read from another field,
// or by another key, they are other numbers, and a difference means nothing.
func sameNumbers(was, is Fields) bool {
	return was.Seq == is.Seq && was.Key == is.Key && was.KeyFromName == is.KeyFromName
}

// next is how many numbers of the key are missing before n. A number that is lower than
// the last one, or absurdly higher, is a producer that began again.
func (q *sequences) next(key string, n uint64) (missing, after uint64) {
	last, known := q.last[key]
	switch {
	case !known:
		if len(q.last) >= maxSequences {
			q.full = true
			return 0, 0
		}
		if q.last == nil {
			q.last = map[string]uint64{}
		}
		q.last[strings.Clone(key)] = n // key is a view of the whole message
		return 0, 0
	case n > last+1 && n-last <= maxMissing:
		missing = n - last - 1
	}
	q.last[key] = n
	return missing, last
}

// follow looks at the number of an event, and tells of those before it that are missing.
func (s *subscription) follow(event *Event) {
	missing, after := s.feed.sequences.next(event.Key, event.seq.n)
	if s.feed.sequences.full && s.speaks {
		s.log.Warn("too many keys: the numbers of new ones are not followed", "channel", s.channel.Name, "keys", maxSequences)
	}
	if missing == 0 {
		return
	}
	if s.speaks {
		s.missing.Add(missing)
		s.log.Warn("messages are missing", "channel", s.channel.Name, "key", clip(event.Key), "events", missing, "after", after)
	}
	s.say(TypeGap, event.Key, Gap{Missing: missing, After: after, Key: plainText(event.Key)}, nil)
}
