package daemon

import (
	"fmt"
	"strings"
	"time"

	"signalbox/router"
)

// since is what --since says: one of a time back from now, a time, and the id of an entry.
type since struct {
	text string
	back time.Duration
	at   time.Time
	id   string
}

func parseSince(text string) (*since, error) {
	s := &since{text: text}
	if _, ok := parseEntryID(text); ok {
		s.id = text
		return s, nil
	}
	var err error
	if s.back, err = time.ParseDuration(text); err == nil {
		if s.back <= 0 {
			return nil, &UsageError{fmt.Errorf("--since %s: want a time back from now, such as 10m; 0-0 is the beginning of all streams", text)}
		}
		return s, nil
	}
	if s.at, err = time.Parse(time.RFC3339Nano, text); err == nil {
		return s, nil
	}
	return nil, &UsageError{fmt.Errorf("--since %q: want a time back from now such as 90s, 10m or 48h, a time such as 2026-11-26T20:30:00Z, or the id of an entry such as 1763933245123-0", text)}
}

// begin is the id of the first entry that is meant, and its time.
func (s *since) begin(now time.Time) (id string, at time.Time) {
	if s.id != "" {
		first, _ := parseEntryID(s.id)
		return s.id, time.UnixMilli(first.ms)
	}
	at = s.at
	if s.back > 0 {
		at = now.Add(-s.back)
	}
	return fmt.Sprintf("%d-0", max(0, at.UnixMilli())), at
}

// moment is that for a person.
func (s *since) moment(now time.Time) string {
	if s.id != "" {
		return s.id
	}
	_, at := s.begin(now)
	return shownTime(at)
}

// isEarlierDay reports whether a time of day alone would be misread.
func (s *since) isEarlierDay(now time.Time) bool {
	_, at := s.begin(now)
	return at.Local().Format(time.DateOnly) != now.Local().Format(time.DateOnly)
}

func shownTime(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// keepsAny is an error when no channel keeps what was sent.
func keepsAny(channels []router.Channel) error {
	for _, ch := range channels {
		if ch.Transport == router.Stream {
			return nil
		}
	}
	names := make([]string, len(channels))
	for i, ch := range channels {
		names[i] = printable(ch.Name)
	}
	none := names[0] + " is no stream"
	if len(names) > 1 {
		none = "none of " + strings.Join(names, ", ") + " is a stream"
	}
	return &UsageError{fmt.Errorf("--since: %s, and Pub/Sub keeps nothing; make it one, or let a handler of the kind latest keep the newest event of each key, which router latest shows", none)}
}

// notFuture is an error when nothing can have been added since then. Ids need not be
// times: those that a stream has are none of the future.
func (s *since) notFuture(now time.Time, last map[string]string) error {
	const margin = time.Second // clocks differ
	id, at := s.begin(now)
	if !at.After(now.Add(margin)) {
		return nil
	}
	first, _ := parseEntryID(id)
	for _, text := range last {
		if end, ok := parseEntryID(text); ok && !end.before(first) {
			return nil
		}
	}
	return &UsageError{fmt.Errorf("--since %s: is in the future; in Redis it is %s", s.text, shownTime(now))}
}
