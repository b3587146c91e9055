package transport

import (
	"context"
	"fmt"
	"time"
)

// connectsPrefix is where the times of a source's connects are: a list by source, the
// newest first, in ms by the clock of Redis.
const connectsPrefix = "signalbox:connects:"

// connectsKept is how many are kept at least, for a budget that becomes larger.
const connectsKept = 1000

// spendScript notes a connect and returns 0, or returns the ms to wait. ARGV is how many
// connects within how many ms, and how many times to keep. Times that are yet to come are
// from before the clock was set back: they count as now, once, and not until they have come.
const spendScript = clockOfRedis + `
local now, most, per = tonumber(ms), tonumber(ARGV[1]), tonumber(ARGV[2])
local times = redis.call('LRANGE', KEYS[1], 0, most - 1)
if times[1] and tonumber(times[1]) > now then
  redis.call('DEL', KEYS[1])
  for i, at in ipairs(times) do
    times[i] = string.format('%.0f', math.min(tonumber(at), now))
    redis.call('RPUSH', KEYS[1], times[i])
  end
  redis.call('PEXPIRE', KEYS[1], per)
end
local first = times[most]
if first and tonumber(first) + per > now then
  return tonumber(first) + per - now
end
redis.call('LPUSH', KEYS[1], ms)
redis.call('LTRIM', KEYS[1], 0, math.max(most, tonumber(ARGV[3])) - 1)
if redis.call('PTTL', KEYS[1]) < per then
  redis.call('PEXPIRE', KEYS[1], per)
end
return 0
`

// SpendConnect takes one connect out of a source's budget, which all processes share:
// so many within a period. If it is spent, nothing is taken, and wait says when to ask
// again. An answer that was lost has spent one. A Redis that has lost its data knows of
// none before.
func (r *Redis) SpendConnect(ctx context.Context, source string, connects int, per time.Duration) (wait time.Duration, err error) {
	if connects < 1 || per < time.Millisecond {
		return 0, fmt.Errorf("connect budget of source %q: %d in %s; want at least 1 in at least 1ms", source, connects, per)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	ms, err := r.scripts.spend.run(ctx, r.writer, connectsPrefix+source, connects, per.Milliseconds(), connectsKept).Int64()
	if err != nil {
		return 0, fmt.Errorf("connect budget of source %q: %w", source, err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
