package daemon

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/redis/go-redis/v9"

	"signalbox/router"
)

// A page of letters is what is read, sent or removed at a time. It begins small, since
// nobody knows how large the letters are.
const (
	firstPage = 16
	maxPage   = 256
	pageBytes = 4 << 20
)

// letter is a dead letter as a stream keeps it.
type letter struct {
	stream string // Redis name
	id     string // of the entry
	fields map[string]string
	// Of the event; empty where the message is none, or several.
	typ, event string
}

// noField reports whether a field is Watermill's, in every entry, and says nothing.
func noField(name string) bool { return name == "metadata" || name == redisstream.UUIDHeaderKey }

// newLetter reads an entry. Letters of a crash loop were never decoded: here nothing
// dies of it.
func newLetter(stream string, entry redis.XMessage, ch router.Channel) letter {
	l := letter{stream: stream, id: entry.ID, fields: make(map[string]string, len(entry.Values))}
	for name, value := range entry.Values {
		l.fields[name], _ = value.(string)
	}
	l.typ, l.event = l.fields["type"], l.fields["id"]
	if l.typ == "" && l.reason() == router.ReasonCrashLoop {
		events, err := router.Decode(ch, router.Message{Payload: []byte(l.fields["payload"]), Name: l.fields["name"], ID: l.fields["entry"]})
		if err == nil && len(events) == 1 {
			l.typ, l.event = events[0].Type, events[0].ID
		}
	}
	return l
}

func (l *letter) reason() router.Reason { return router.Reason(l.fields["reason"]) }

// number is a field that counts; what is no number is 0.
func (l *letter) number(name string) int {
	n, _ := strconv.Atoi(l.fields[name])
	return n
}

// givenUp is when; zero if the letter doesn't say.
func (l *letter) givenUp() time.Time {
	at, _ := time.Parse(time.RFC3339Nano, l.fields["last_time"])
	return at
}

// sent is the event's time or, where nobody decoded it, that of the entry it came in:
// a route with max_age must not take a replay for news.
func (l *letter) sent() time.Time {
	if at, err := time.Parse(time.RFC3339Nano, l.fields["time"]); err == nil {
		return at
	}
	if id, ok := parseEntryID(l.fields["entry"]); ok {
		return time.UnixMilli(id.ms)
	}
	first, _ := time.Parse(time.RFC3339Nano, l.fields["first_time"])
	return first
}

// entryID is the id of a stream entry; ids grow along the stream.
type entryID struct {
	ms  int64
	seq uint64
}

func parseEntryID(text string) (id entryID, ok bool) {
	ms, seq, _ := strings.Cut(text, "-")
	var err, err2 error
	id.ms, err = strconv.ParseInt(ms, 10, 64)
	id.seq, err2 = strconv.ParseUint(seq, 10, 64)
	return id, err == nil && err2 == nil && id.ms >= 0
}

func (id entryID) before(other entryID) bool {
	return id.ms < other.ms || id.ms == other.ms && id.seq < other.seq
}

// place is a stream that may hold letters, and its last entry when the command began:
// what comes later, such as a replay that failed again, is not looked at.
type place struct {
	stream string
	until  string
}

// entries goes through a place from the oldest entry on. However long it is, few
// entries are in memory.
func (p place) entries(ctx context.Context, client *redis.Client) iter.Seq2[redis.XMessage, error] {
	return func(yield func(redis.XMessage, error) bool) {
		after, count := "-", firstPage
		for {
			page, err := client.XRangeN(ctx, p.stream, after, p.until, int64(count)).Result()
			if err != nil {
				yield(redis.XMessage{}, fmt.Errorf("read %q: %w", p.stream, err))
				return
			}
			size := 0
			for _, entry := range page {
				payload, _ := entry.Values["payload"].(string)
				size += len(payload)
				if !yield(entry, nil) {
					return
				}
			}
			if len(page) < count {
				return
			}
			after = "(" + page[len(page)-1].ID
			count = nextPage(count, size)
		}
	}
}

// nextPage is how many entries to read after so many of that size.
func nextPage(count, size int) int {
	if size > pageBytes/2 {
		return max(1, count/2)
	}
	return min(maxPage, 2*count)
}

// merged yields what sequences yield, each from the oldest on, from the oldest on.
func merged(sequences []iter.Seq2[letter, error]) iter.Seq2[letter, error] {
	if len(sequences) == 1 {
		return sequences[0]
	}
	return func(yield func(letter, error) bool) {
		type source struct {
			head letter
			id   entryID
			next func() (letter, error, bool)
		}
		var sources []*source
		take := func(s *source) bool { // reports whether to go on
			head, err, more := s.next()
			if err != nil {
				return yield(letter{}, err)
			}
			if more {
				s.head = head
				s.id, _ = parseEntryID(head.id)
				sources = append(sources, s)
			}
			return true
		}
		for _, sequence := range sequences {
			next, stop := iter.Pull2(sequence)
			defer stop()
			if !take(&source{next: next}) {
				return
			}
		}
		for len(sources) > 0 {
			oldest := 0
			for i, s := range sources {
				if s.id.before(sources[oldest].id) {
					oldest = i
				}
			}
			s := sources[oldest]
			sources = append(sources[:oldest], sources[oldest+1:]...)
			if !yield(s.head, nil) || !take(s) {
				return
			}
		}
	}
}
