package transport

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
)

// streamID is the id of an entry; ids grow along the stream.
type streamID struct{ ms, seq uint64 }

func parseID(id string) streamID {
	ms, seq, _ := strings.Cut(id, "-")
	var parsed streamID
	parsed.ms, _ = strconv.ParseUint(ms, 10, 64)
	parsed.seq, _ = strconv.ParseUint(seq, 10, 64)
	return parsed
}

func (id streamID) before(other streamID) bool {
	return id.ms < other.ms || id.ms == other.ms && id.seq < other.seq
}

// previous is the largest id before it.
func (id streamID) previous() streamID {
	switch {
	case id.seq > 0:
		return streamID{id.ms, id.seq - 1}
	case id.ms > 0:
		return streamID{id.ms - 1, math.MaxUint64}
	default:
		return id
	}
}

func (id streamID) String() string {
	return strconv.FormatUint(id.ms, 10) + "-" + strconv.FormatUint(id.seq, 10)
}

// streamInfo is what XINFO STREAM tells of a stream. The zero value is one that is not there.
type streamInfo struct {
	added   int64 // entries that were ever added
	length  int64
	first   streamID // of the oldest entry there is; means nothing when length is 0
	last    string   // the last id that was given
	deleted streamID // the largest that XDEL removed; trimming leaves it alone
}

// groupInfo is what XINFO GROUPS tells of a group.
type groupInfo struct {
	delivered string // the last id that was delivered
	read      int64  // entries up to it, as far as Redis counted them; unknown where it doesn't
}

// namedGroup is a group in the list of a stream's groups.
type namedGroup struct {
	groupInfo
	name    string
	lag     int64 // entries that it has yet to read; unknown where Redis cannot tell
	pending int64 // entries that were delivered and not acknowledged
}

const unknown = -1

// place is how many entries were ever added up to id, unknown in the middle of the stream.
func (s streamInfo) place(id string) int64 {
	switch {
	case id == s.last:
		return s.added
	case s.ahead(id):
		return s.added - s.length
	default:
		return unknown
	}
}

// ahead reports whether all that the stream has was added after id.
func (s streamInfo) ahead(id string) bool { return s.length == 0 || parseID(id).before(s.first) }

// missed is how many entries are gone that were not delivered to the group, since Redis
// counts for it; unknown while the group is in the middle of the stream.
//
// Redis counts each delivery and (7.0 at least) does not see that entries were skipped.
// Where it is known how many were added up to the last one that was delivered, or how
// many are left behind it, what is missing was trimmed. Only when XDEL was used behind
// it, too, this cannot be told from trimming: then the number is not exact.
func (s streamInfo) missed(g groupInfo) (n int64, exact bool) {
	switch {
	case g.read == unknown:
		return unknown, false
	case g.delivered == s.last:
		return max(0, s.added-g.read), true
	case s.ahead(g.delivered):
		return max(0, s.added-g.read-s.length), !parseID(g.delivered).before(s.deleted)
	default:
		return unknown, false
	}
}

// streamInfo asks for the topic's.
func (s *streamSub) streamInfo() (info streamInfo, ok bool, err error) {
	ctx, cancel := s.commandContext()
	defer cancel()
	return s.r.streamInfo(ctx, s.topic)
}

// streamInfo asks for a stream's. ok is false where the server does not count what was
// added: Redis before 7.0, miniredis.
func (r *Redis) streamInfo(ctx context.Context, topic string) (info streamInfo, ok bool, err error) {
	reply, err := r.writer.Do(ctx, "XINFO", "STREAM", topic).Result()
	if isNoGroup(err) {
		return streamInfo{last: "0-0"}, true, nil
	}
	if err != nil {
		return streamInfo{}, false, err
	}
	fields := fieldsOf(reply)
	added, ok := fields["entries-added"].(int64)
	length, _ := fields["length"].(int64)
	return streamInfo{
		added:   added,
		length:  length,
		first:   parseID(text(fields["recorded-first-entry-id"])),
		last:    text(fields["last-generated-id"]),
		deleted: parseID(text(fields["max-deleted-entry-id"])),
	}, ok, nil
}

// groupInfo asks for one of the topic's groups. ok is false when it is not there.
func (s *streamSub) groupInfo(name string) (info groupInfo, ok bool, err error) {
	ctx, cancel := s.commandContext()
	defer cancel()
	groups, err := s.r.groupInfos(ctx, s.topic)
	if err != nil {
		return groupInfo{}, false, err
	}
	for _, g := range groups {
		if g.name == name {
			return g.groupInfo, true, nil
		}
	}
	return groupInfo{}, false, nil
}

// groupInfos asks for all groups of a stream.
func (r *Redis) groupInfos(ctx context.Context, topic string) ([]namedGroup, error) {
	reply, err := r.writer.Do(ctx, "XINFO", "GROUPS", topic).Slice()
	if err != nil && !isNoGroup(err) {
		return nil, err
	}
	groups := make([]namedGroup, 0, len(reply))
	for _, item := range reply {
		fields := fieldsOf(item)
		read, counted := fields["entries-read"].(int64)
		if !counted {
			read = unknown
		}
		lag, counted := fields["lag"].(int64)
		if !counted {
			lag = unknown
		}
		pending, _ := fields["pending"].(int64)
		groups = append(groups, namedGroup{groupInfo{text(fields["last-delivered-id"]), read}, text(fields["name"]), lag, pending})
	}
	// Redis sorts them; the embedded one has them in no order.
	slices.SortFunc(groups, func(a, b namedGroup) int { return strings.Compare(a.name, b.name) })
	return groups, nil
}

// fieldsOf reads names with their values: a map in RESP3, a list in RESP2.
func fieldsOf(reply any) map[string]any {
	fields := make(map[string]any)
	if m, ok := reply.(map[any]any); ok {
		for name, value := range m {
			fields[text(name)] = value
		}
	}
	if list, ok := reply.([]any); ok {
		for i := 0; i+1 < len(list); i += 2 {
			fields[text(list[i])] = list[i+1]
		}
	}
	return fields
}
