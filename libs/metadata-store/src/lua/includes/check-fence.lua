-- The fence before every write. Each fenced script has the same first keys and arguments:
--   KEYS[1] meta, KEYS[2] lease, KEYS[3] lease_seq, KEYS[4] ops
--   ARGV[1] cluster id, ARGV[2] run and ARGV[3] token of the lease,
--   ARGV[4] generation and ARGV[5] revision last seen ('' and 0: none)
-- Returns nil when the caller may write, else what the script answers:
--   {WRONG_CLUSTER, cluster id}, {LEASE_LOST, url of the holder or ''}, {ROLLED_BACK, generation or '', revision}

local function rolled_back()
  local meta = redis.call('HMGET', KEYS[1], 'generation', 'revision')
  return { CODE.ROLLED_BACK, meta[1] or '', tonumber(meta[2] or '') or 0 }
end

local function check_cluster()
  local cluster = redis.call('HGET', KEYS[1], 'cluster_id')
  if cluster and cluster ~= ARGV[1] then return { CODE.WRONG_CLUSTER, cluster } end
  return nil
end

local function check_lease()
  local refused = check_cluster()
  if refused then return refused end
  -- Tokens only grow, so a lower count is an older copy of the data, or an empty one.
  local given = tonumber(redis.call('GET', KEYS[3]) or '') or 0
  if given < tonumber(ARGV[3]) then return rolled_back() end
  local lease = redis.call('HMGET', KEYS[2], 'run', 'token', 'url')
  if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[3] then return { CODE.LEASE_LOST, lease[3] or '' } end
  return nil
end

local function check_fence()
  local refused = check_lease()
  if refused then return refused end
  local meta = redis.call('HMGET', KEYS[1], 'generation', 'revision')
  if not meta[1] then return rolled_back() end
  if ARGV[4] == '' then return nil end
  if meta[1] ~= ARGV[4] or (tonumber(meta[2] or '') or 0) < tonumber(ARGV[5]) then return rolled_back() end
  return nil
end
