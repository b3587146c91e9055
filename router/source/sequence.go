package source

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"signalbox/router"
)

// maxMissing is the largest gap: a number that is further ahead is no count of messages.
const maxMissing = 1 << 32

// unnumbered is how many messages without a number are enough to doubt that any will have one.
const unnumbered = 100

// sequence follows the numbers that the other side gives its messages.
type sequence struct {
	by   router.Sequence
	last map[string]int64 // by key, or under "" alone
	none int              // messages without a number, or key to count by, before any that had one; -1: one had
}

// verdict is what the number of a message says.
type verdict struct {
	missing uint64 // that many are missing before it; 1 or more where only a break is known
	after   int64
	again   bool // it is the one before, again
	blind   bool // so many had no number that there seems to be none: said once
}

func newSequence(by *router.Sequence) *sequence {
	if by == nil {
		return nil
	}
	s := &sequence{by: *by, last: map[string]int64{}}
	if s.by.Step == 0 {
		s.by.Step = 1
	}
	return s
}

// restart forgets what was counted in a session, where each session is counted anew.
func (s *sequence) restart() {
	if s != nil && !s.by.PerKey {
		clear(s.last)
	}
}

// next looks at the number of a message. One without a number says nothing, nor does one
// without a key where each is counted by itself, and one that is lower than the last, or much
// higher, begins anew.
func (s *sequence) next(key string, message []byte) verdict {
	if s == nil {
		return verdict{}
	}
	n, ok := number(message, s.by.Path)
	if !ok || s.by.PerKey && key == "" {
		if s.none >= 0 {
			s.none++
		}
		return verdict{blind: s.none == unnumbered}
	}
	s.none = -1
	if !s.by.PerKey {
		key = ""
	}
	last, known := s.last[key]
	if !known {
		if !follows(key, len(s.last)) {
			return verdict{}
		}
		key = strings.Clone(key) // a view of the whole message
	}
	s.last[key] = n
	if !known || s.by.Snapshot != "" && gjson.GetBytes(message, s.by.Snapshot).Exists() {
		return verdict{}
	}
	if n == last {
		return verdict{again: true}
	}
	if s.by.Previous != "" {
		if previous, ok := number(message, s.by.Previous); ok && previous != last {
			return verdict{missing: 1, after: last}
		}
		return verdict{}
	}
	if n < last || last < 0 {
		return verdict{}
	}
	missing := (uint64(n) - uint64(last) - 1) / uint64(s.by.Step) //nolint:gosec // n is larger, however far apart they are
	if missing > maxMissing {
		return verdict{}
	}
	return verdict{missing: missing, after: last}
}

// number reads a whole number, also one that is a text.
func number(message []byte, path string) (int64, bool) {
	n, err := strconv.ParseInt(gjson.GetBytes(message, path).String(), 10, 64)
	return n, err == nil
}
