package source

import (
	"log/slog"
	"strings"
)

const (
	maxKeys     = 100_000 // of a source that are followed, at most
	maxKeyBytes = 1024    // of a key that is followed
)

// follows reports whether a key that is new is to be followed beside so many others.
func follows(key string, others int) bool { return others < maxKeys && len(key) <= maxKeyBytes }

// stamps counts what is published, by key.
type stamps struct {
	log  *slog.Logger
	last map[string]uint64
	full bool
}

func newStamps(log *slog.Logger) *stamps {
	return &stamps{log: log, last: map[string]uint64{}}
}

// next is the number of the next message of a key; 0: it is not followed.
func (s *stamps) next(key string) uint64 {
	n, known := s.last[key]
	if !known {
		if !follows(key, len(s.last)) {
			s.tell()
			return 0
		}
		key = strings.Clone(key) // a view of the whole message
	}
	s.last[key] = n + 1
	return n + 1
}

// tell says once that some keys are not followed.
func (s *stamps) tell() {
	if !s.full {
		s.full = true
		s.log.Warn("too many keys, or too long ones: messages of new ones have the seq 0", "keys", maxKeys, "bytes", maxKeyBytes)
	}
}
