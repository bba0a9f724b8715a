-- The fence before every write. Each fenced script has the same first keys and arguments:
--   KEYS[1] meta, KEYS[2] lease, KEYS[3] lease_seq, KEYS[4] ops
--   ARGV[1] cluster id, ARGV[2] run and ARGV[3] token of the lease,
--   ARGV[4] generation and ARGV[5] revision last seen ('' and 0: none)
-- Returns nil when the caller may write, else what the script answers:
--   {WRONG_CLUSTER, cluster id}, {LEASE_LOST, url of the holder or ''}, {ROLLED_BACK, generation or '', revision}
-- @include read-stored

-- The generation of a finished build of this cluster, or nil, and its revision, or nil where that is none.
local function stored_build()
  local meta = fields(KEYS[1], 'generation', 'revision', 'cluster_id')
  if not is_uuid(meta[1]) or meta[3] ~= ARGV[1] then return nil, whole(meta[2]) end
  return meta[1], whole(meta[2])
end

local function rolled_back()
  local generation, revision = stored_build()
  return { CODE.ROLLED_BACK, generation or '', revision or 0 }
end

local function check_cluster()
  local cluster = fields(KEYS[1], 'cluster_id')[1]
  if is_uuid(cluster) and cluster ~= ARGV[1] then return { CODE.WRONG_CLUSTER, cluster } end
  return nil
end

local function check_lease()
  local refused = check_cluster()
  if refused then return refused end
  -- Tokens only grow, so a lower count is an older copy of the data, or an empty one.
  if token_given() < tonumber(ARGV[3]) then return rolled_back() end
  local lease = fields(KEYS[2], 'run', 'token', 'url')
  if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[3] then return { CODE.LEASE_LOST, lease[3] or '' } end
  return nil
end

local function check_fence()
  local refused = check_lease()
  if refused then return refused end
  local generation, revision = stored_build()
  if not generation or not revision then return rolled_back() end
  if ARGV[4] == '' then return nil end
  if generation ~= ARGV[4] or revision < tonumber(ARGV[5]) then return rolled_back() end
  return nil
end
