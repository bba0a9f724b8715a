-- Takes the coordinator lease if nobody holds it.
-- KEYS  meta, lease, lease_seq, ops
-- ARGV  cluster id, run, highest token that the caller ever held, url, ttl in ms
-- Returns {OK, token}, {HELD, run, url, token, remaining ms} or {WRONG_CLUSTER, cluster id}.
-- @include check-fence

local refused = check_cluster()
if refused then return refused end

local held = redis.call('HMGET', KEYS[2], 'run', 'url', 'token')
if held[1] == ARGV[2] and held[3] then
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  return { CODE.OK, tonumber(held[3]) }
end
if held[1] then
  return { CODE.HELD, held[1], held[2] or '', tonumber(held[3] or '') or 0, redis.call('PTTL', KEYS[2]) }
end

-- A wiped or restored count must not give out a token again that this caller has held.
local given = tonumber(redis.call('GET', KEYS[3]) or '') or 0
local token = math.max(given, tonumber(ARGV[3])) + 1
local token_text = string.format('%d', token)
redis.call('SET', KEYS[3], token_text)
redis.call('HSET', KEYS[2], 'run', ARGV[2], 'url', ARGV[4], 'token', token_text, 'ttl_ms', ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', LIMIT.AUDIT_COUNT, '*',
  'op', 'lease_acquire', 'subject', ARGV[4], 'token', token_text, 'revision', '')
return { CODE.OK, token }
