package transport

// leasePrefix is where the records of leases are: a hash for each source. It has no time
// to live, since no clock but that of who waits may end a term.
//
//	holder     who holds it, empty after an orderly end
//	service    of the holder
//	token      of the call of Acquire that got it
//	epoch      grows with each term
//	beat       changes with each renewal, and never back within a term
//	for        how long the holder may be out of reach, in ms
//	orderly    1: the holder has closed its session
//	run        of the server that was told so
//	held       run of the server that granted it
//	after      1: so had the holder before
//	batch      number of the last one that was published in this term
//	since, renewed, published: by the clock of Redis, in ms, for people and for Grant.Silent
const leasePrefix = "signalbox:lease:"

// clockOfRedis gives scripts the time: seconds, and ms.
const clockOfRedis = `
local clock = redis.call('TIME')
local seconds = tonumber(clock[1])
local ms = string.format('%.0f', seconds * 1000 + math.floor(tonumber(clock[2]) / 1000))
`

// runOfRedis gives scripts what tells one run of a server from all others. What says that
// a session was closed may be taken at its word only in the same one: another may have been
// started with an old copy of the data, while somebody has held the lease for long. Empty:
// not known. The embedded server, which keeps nothing, has no such section.
const runOfRedis = `
local function run() -- and for how many ms it has lasted
  local info = redis.pcall('INFO', 'server')
  if type(info) == 'table' then
    return string.find(info.err or '', 'section', 1, true) and 'embedded' or '', '0'
  end
  local seconds = tonumber(string.match(info, 'uptime_in_seconds:(%d+)') or '0')
  return string.match(info, 'run_id:(%w+)') or '', string.format('%.0f', seconds * 1000)
end
`

// acquireScript takes a lease or tells how it stands: 1, epoch, beat, orderly, ms since
// something was published (or -1), and of a record that was missing for how many ms the
// server has run, else 0; or 0, epoch, beat, for, which are empty without a record. ARGV is holder, service, token, for, the highest epoch that the caller knows,
// and 1, epoch, beat if a record that stands like that may be taken.
const acquireScript = clockOfRedis + runOfRedis + `
local record = redis.call('HMGET', KEYS[1], 'epoch', 'beat', 'for', 'orderly', 'token', 'after', 'published', 'run')
local epoch, beat = record[1] or '', record[2] or ''
local now, uptime = run()
local function granted(epoch, beat, orderly)
  local silent = -1
  if tonumber(record[7]) then
    silent = math.max(0, tonumber(ms) - tonumber(record[7]))
  end
  local missing = '0'
  if not record[1] then
    missing = uptime
  end
  return {1, epoch, beat, orderly, string.format('%.0f', silent), missing}
end
if record[5] == ARGV[3] then -- the answer was lost
  beat = string.format('%.0f', tonumber(beat) + 1)
  redis.call('HSET', KEYS[1], 'beat', beat, 'renewed', ms)
  return granted(epoch, beat, record[6])
end
local after = '0'
if record[4] == '1' and record[8] and record[8] ~= '' and record[8] == now then
  after = '1'
elseif ARGV[6] ~= '1' or ARGV[7] ~= epoch or ARGV[8] ~= beat then
  return {0, epoch, beat, record[3] or ''}
end
epoch = string.format('%.0f', math.max((tonumber(epoch) or 0) + 1, seconds, tonumber(ARGV[5]) + 1))
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'service', ARGV[2], 'token', ARGV[3], 'for', ARGV[4],
  'epoch', epoch, 'beat', '1', 'orderly', '0', 'after', after, 'batch', '0', 'since', ms, 'renewed', ms, 'held', now)
return granted(epoch, '1', after)
`

// renewScript says that the holder lives: 1, or 0 if another one holds the lease. A record
// that is gone is made again, and so is one of an earlier term, which a Redis has that was
// started with an old copy of its data. ARGV is holder, epoch, beat, and for that service,
// token, for, batch, since (ms ago), published (may be empty).
const renewScript = clockOfRedis + `
local record = redis.call('HMGET', KEYS[1], 'holder', 'epoch')
local epoch, ours = tonumber(record[2] or '') or 0, tonumber(ARGV[2])
if epoch < ours then
  redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'epoch', ARGV[2], 'service', ARGV[4], 'token', ARGV[5],
    'for', ARGV[6], 'orderly', '0', 'after', '0', 'batch', ARGV[7], 'since', string.format('%.0f', tonumber(ms) - tonumber(ARGV[8])))
  if ARGV[9] ~= '' then
    redis.call('HSET', KEYS[1], 'published', ARGV[9])
  end
elseif epoch > ours or record[1] ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'beat', ARGV[3], 'renewed', ms)
return 1
`

// releaseScript says that the holder, ARGV holder and epoch, has closed its session: 1, or 0
// if the record is another's, or may be. After the term (ARGV late) it may be an old copy:
// then only the server that has granted it can know better.
const releaseScript = runOfRedis + `
local record = redis.call('HMGET', KEYS[1], 'holder', 'epoch', 'held')
local now = run()
if record[1] ~= ARGV[1] or record[2] ~= ARGV[2] or ARGV[3] == '1' and (now == '' or record[3] ~= now) then
  return 0
end
redis.call('HSET', KEYS[1], 'holder', '', 'orderly', '1', 'run', now)
return 1
`

// fence begins the scripts that publish for a holder: 0 if another one holds the lease, -1
// without a record of this term, 1 if the batch was published before; else it goes on. ARGV begins with
// holder, epoch, the batch's number, the topic. The first write is one that changes
// nothing: a Redis that takes no writes refuses it, and nothing was sent yet. After it no
// write of the script is refused for lack of memory.
const fence = clockOfRedis + `
local record = redis.call('HMGET', KEYS[1], 'holder', 'epoch', 'batch')
local epoch, ours = tonumber(record[2] or '') or 0, tonumber(ARGV[2])
if epoch < ours then
  return -1
elseif epoch > ours or record[1] ~= ARGV[1] then
  return 0
elseif (tonumber(record[3]) or 0) >= tonumber(ARGV[3]) then
  return 1
end
redis.call('HSET', KEYS[1], 'holder', ARGV[1])
`

// noted ends them: the time in ms.
const noted = `
redis.call('HSET', KEYS[1], 'batch', ARGV[3], 'published', ms)
return tonumber(ms)
`

// publishScript publishes messages on Pub/Sub: the rest of ARGV.
const publishScript = fence + `
for i = 5, #ARGV do
  redis.call('PUBLISH', ARGV[4], ARGV[i])
end
` + noted

// addScript adds messages to a stream: the rest of ARGV is its greatest length (0: any),
// then id and message of each.
const addScript = fence + `
for i = 6, #ARGV, 2 do
  if ARGV[5] == '0' then
    redis.call('XADD', ARGV[4], '*', '` + uuidField + `', ARGV[i], '` + metadataField + `', '', '` + payloadField + `', ARGV[i + 1])
  else
    redis.call('XADD', ARGV[4], 'MAXLEN', '~', ARGV[5], '*', '` + uuidField + `', ARGV[i], '` + metadataField + `', '', '` + payloadField + `', ARGV[i + 1])
  end
end
` + noted
