package transport

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/batch"
	"signalbox/router/internal/order"
)

// Where the newest events of a channel are, by its name in Redis. Three keys and not one
// for each slot: so a name and a key of an event, which strangers choose, never make up
// somebody else's key together, and HGETALL shows a channel at once.
const (
	latestPrefix      = "signalbox:latest:"       // hash: key → message, as it was received
	latestTimePrefix  = "signalbox:latest.time:"  // hash: key → Unix time in ns (20 digits), a space, the id
	latestUntilPrefix = "signalbox:latest.until:" // sorted set: key, by the Unix time in ms when its slot ends
)

// timeDigits is how long times are, so that they compare as texts: Lua's numbers would
// lose digits.
const timeDigits = 20

// forget removes the slots that have ended.
const forget = `
local now = tonumber(ARGV[1])
local ended = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 1000)
for _, key in ipairs(ended) do
  redis.call('HDEL', KEYS[1], key)
  redis.call('HDEL', KEYS[2], key)
  redis.call('ZREM', KEYS[3], key)
end
`

// keep puts events into their slots: ARGV is now and the slots' time to live in ms, then
// key, time, id and message of each. All of a channel ends with its last slot, so that
// nothing is left of a channel that has gone quiet; while a slot lasts for ever, it doesn't.
const keep = forget + `
local ttl = tonumber(ARGV[2])
local changed = false
for i = 3, #ARGV, 4 do
  local key, time = ARGV[i], ARGV[i + 1]
  local kept = redis.call('HGET', KEYS[2], key)
  if not kept or string.sub(kept, 1, #time) <= time then
    redis.call('HSET', KEYS[1], key, ARGV[i + 3])
    redis.call('HSET', KEYS[2], key, time .. ' ' .. ARGV[i + 2])
    if ttl > 0 then
      redis.call('ZADD', KEYS[3], now + ttl, key)
    else
      redis.call('ZREM', KEYS[3], key)
    end
    changed = true
  end
end
if changed and redis.call('HLEN', KEYS[1]) > redis.call('ZCARD', KEYS[3]) then
  for _, name in ipairs(KEYS) do
    redis.call('PERSIST', name)
  end
elseif changed then
  local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]
  for _, name in ipairs(KEYS) do
    redis.call('PEXPIRE', name, last - now)
  end
end
return 0
`

// read returns key, time and id, and message of each slot: ARGV is now, then the keys;
// without any, those of all slots.
const read = `
local ended = {}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[1])) do
  ended[key] = true
end
local slots = {}
local function add(key, time, message)
  if time and message and not ended[key] then
    slots[#slots + 1] = key
    slots[#slots + 1] = time
    slots[#slots + 1] = message
  end
end
if #ARGV > 1 then
  for i = 2, #ARGV do
    add(ARGV[i], redis.call('HGET', KEYS[2], ARGV[i]), redis.call('HGET', KEYS[1], ARGV[i]))
  end
else
  local times, messages = {}, redis.call('HGETALL', KEYS[1])
  local flat = redis.call('HGETALL', KEYS[2])
  for i = 1, #flat, 2 do
    times[flat[i]] = flat[i + 1]
  end
  for i = 1, #messages, 2 do
    add(messages[i], times[messages[i]], messages[i + 1])
  end
end
return slots
`

// Latest keeps the newest events of keys in Redis, for any process that shares it. It is a
// router.Latest.
//
// Comparing a time and replacing a message is one step, a script: of routers that keep
// the same channel, none overwrites what another has that is newer.
type Latest struct {
	r          *Redis
	keep, read *redis.Script
}

// Latest returns what keeps in this Redis.
func (r *Redis) Latest() *Latest {
	return &Latest{r: r, keep: redis.NewScript(keep), read: redis.NewScript(read)}
}

// keepBytes is how much one call of the script carries, if it has several events: what
// takes longer than commandTimeout on a slow link would be tried again for ever.
const keepBytes = 1 << 20

// Keep puts each event into the slot of its key, unless a newer one is there. It is one
// round trip for each channel among them and MiB.
func (l *Latest) Keep(ctx context.Context, events []batch.Kept, ttl time.Duration) error {
	now := l.r.Now()
	var topics []string
	byTopic := map[string][]batch.Kept{}
	for _, e := range newestOf(events, now) {
		if byTopic[e.Topic] == nil {
			topics = append(topics, e.Topic)
		}
		byTopic[e.Topic] = append(byTopic[e.Topic], e)
	}
	for _, topic := range topics {
		for rest := byTopic[topic]; len(rest) > 0; {
			args := []any{now.UnixMilli(), ttl.Milliseconds()}
			n, bytes := 0, 0
			for n < len(rest) && (n == 0 || bytes+len(rest[n].Payload) <= keepBytes) {
				e := rest[n]
				args = append(args, e.Key, timeText(e.Time), e.ID, e.Payload)
				bytes += len(e.Payload)
				n++
			}
			if err := l.run(ctx, l.keep, topic, args).Err(); err != nil {
				return fmt.Errorf("keep the latest of %q: %w", topic, err)
			}
			rest = rest[n:]
		}
	}
	return nil
}

// newestOf are the events of which no newer one of their key is among them, with no time
// after now.
func newestOf(events []batch.Kept, now time.Time) []batch.Kept {
	places := make(map[slot]int, len(events))
	newest := make([]batch.Kept, 0, len(events))
	for _, e := range events {
		if e.Time.After(now) {
			e.Time = now
		}
		at := slot{e.Topic, e.Key}
		if i, there := places[at]; !there {
			places[at] = len(newest)
			newest = append(newest, e)
		} else if !e.Time.Before(newest[i].Time) {
			newest[i] = e
		}
	}
	return newest
}

// timeText is a time as slots have it; none is before 1970.
func timeText(t time.Time) string {
	if t.Unix() < 0 { // UnixNano ends a few centuries earlier
		t = time.Unix(0, 0)
	}
	return fmt.Sprintf("%0*d", timeDigits, t.UnixNano())
}

// Kept returns the events of the keys, or all of a channel, the oldest first.
func (l *Latest) Kept(ctx context.Context, topic string, keys ...string) ([]batch.Kept, error) {
	args := []any{l.r.Now().UnixMilli()}
	for _, key := range keys {
		args = append(args, key)
	}
	flat, err := l.run(ctx, l.read, topic, args).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("read the latest of %q: %w", topic, err)
	}
	kept := make([]batch.Kept, 0, len(flat)/3)
	for slot := range slices.Chunk(flat, 3) {
		one := batch.Kept{Topic: topic, Key: slot[0], Payload: []byte(slot[2])}
		if len(slot[1]) <= timeDigits {
			continue // not written by us
		}
		ns, err := strconv.ParseInt(slot[1][:timeDigits], 10, 64)
		if err != nil {
			continue
		}
		one.Time, one.ID = time.Unix(0, ns).UTC(), slot[1][timeDigits+1:]
		kept = append(kept, one)
	}
	sortKept(kept)
	return kept, nil
}

func sortKept(kept []batch.Kept) {
	order.Stable(kept, func(a, b *batch.Kept) int { return a.Time.Compare(b.Time) })
}

// run runs a script by its digest, which Redis may not know yet.
func (l *Latest) run(ctx context.Context, script *redis.Script, topic string, args []any) *redis.Cmd {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	keys := []string{latestPrefix + topic, latestTimePrefix + topic, latestUntilPrefix + topic}
	cmd := script.EvalSha(ctx, l.r.writer, keys, args...)
	if !redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		return cmd
	}
	if err := script.Load(ctx, l.r.writer).Err(); err != nil {
		cmd.SetErr(err)
		return cmd
	}
	return script.EvalSha(ctx, l.r.writer, keys, args...)
}
