-- Takes the coordinator lease if nobody holds it.
-- KEYS  meta, lease, lease_seq, ops
-- ARGV  cluster id, run, highest token that the caller ever held or saw, url, ttl in ms
-- Returns {OK, token}, {HELD, run, url, token, remaining ms} or {WRONG_CLUSTER, cluster id}.
-- @include check-fence

local refused = check_cluster()
if refused then return refused end

-- A wiped or restored count must not give out a token again that this caller has held.
local function next_token()
  local token = math.max(token_given(), tonumber(ARGV[3])) + 1
  if token > LIMIT.COUNT then token = 1 end
  local text = string.format('%d', token)
  redis.call('SET', KEYS[3], text)
  return token, text
end

local held = fields(KEYS[2], 'run', 'url', 'token')
local token, left = whole(held[3]), redis.call('PTTL', KEYS[2])
if held[1] and token and left ~= 0 then
  -- One that came back with an old backup is below what its holder has had since: it gets a new one.
  if held[1] == ARGV[2] and token >= token_given() and token >= tonumber(ARGV[3]) then
    redis.call('HSET', KEYS[2], 'url', ARGV[4], 'ttl_ms', ARGV[5])
    redis.call('PEXPIRE', KEYS[2], ARGV[5])
    redis.call('SET', KEYS[3], held[3])
    return { CODE.OK, token }
  end
  if held[1] ~= ARGV[2] then
    -- Every lease ends by itself: one that would not, or later than any is given for, was not left so by a coordinator.
    if left < 0 or left > tonumber(ARGV[5]) then
      redis.call('PEXPIRE', KEYS[2], ARGV[5])
      left = tonumber(ARGV[5])
    end
    -- It was given by a wiped count. Brokers go by the higher token, so its holder gets one; it learns at its next renewal.
    if token < tonumber(ARGV[3]) then
      local text
      token, text = next_token()
      redis.call('HSET', KEYS[2], 'token', text)
    end
    return { CODE.HELD, held[1], held[2] or '', token, left }
  end
end

local given, text = next_token()
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'run', ARGV[2], 'url', ARGV[4], 'token', text, 'ttl_ms', ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
note('op', 'lease_acquire', 'subject', ARGV[4], 'token', text, 'revision', '')
return { CODE.OK, given }
