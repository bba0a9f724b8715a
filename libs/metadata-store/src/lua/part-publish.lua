-- Writes who owns partitions, each only over an older version of itself.
-- KEYS  meta, lease, lease_seq, ops, then topic:<id> and part:<id> of each topic by turns
-- ARGV  the fence's five, then for each partition seven: place of its topic:<id> in KEYS, partition, epoch, config
--       version, isr version, JSON, bytes of the JSON that are the ownership
-- Returns {OK, revision, outcome...}, an outcome for each partition: OK, UNCHANGED, STALE (the stored version is newer,
--         or is this one with other owners), TOPIC_MISSING; or what the fence answers.
-- @include check-fence
-- @include record-change

local PER_PARTITION = 7

-- The stored entry and its text; nil for an absent one and for one that is no entry: the newcomer replaces it.
local function stored_entry(key, partition)
  local text = redis.call('HGET', key, partition)
  if not text then return nil end
  local parsed, entry = pcall(cjson.decode, text)
  if not parsed or type(entry) ~= 'table' then return nil end
  for _, name in ipairs({ 'epoch', 'configVersion', 'isrVersion' }) do
    if type(entry[name]) ~= 'number' then return nil end
  end
  return entry, text
end

local function judge(at)
  local place = tonumber(ARGV[at])
  if redis.call('HEXISTS', KEYS[place], 'name') == 0 then return CODE.TOPIC_MISSING end
  local entry, text = stored_entry(KEYS[place + 1], ARGV[at + 1])
  if not entry then return CODE.OK end
  local stored = { entry.epoch, entry.configVersion, entry.isrVersion }
  for i = 1, 3 do
    local new = tonumber(ARGV[at + 1 + i])
    if new > stored[i] then return CODE.OK end
    if new < stored[i] then return CODE.STALE end
  end
  local ownership = tonumber(ARGV[at + 6])
  if string.sub(text, 1, ownership + 1) ~= string.sub(ARGV[at + 5], 1, ownership + 1) then return CODE.STALE end
  -- Same version, same owners: the status may change, the time alone is no change.
  local parsed, new = pcall(cjson.decode, ARGV[at + 5])
  if parsed and new.status == entry.status then return CODE.UNCHANGED end
  return CODE.OK
end

local refused = check_fence()
if refused then return refused end
local answer, published = { CODE.OK, 0 }, 0
for at = 6, #ARGV, PER_PARTITION do
  local outcome = judge(at)
  answer[#answer + 1] = outcome
  if outcome == CODE.OK then published = published + 1 end
end
if published == 0 then
  answer[2] = unchanged()[2]
  return answer
end

-- In-sync sets come and go; that a leader changed is told by the audit entry of its election.
answer[2] = count_change()
for i = 3, #answer do
  local at = 6 + (i - 3) * PER_PARTITION
  if answer[i] == CODE.OK then
    redis.call('HSET', KEYS[tonumber(ARGV[at]) + 1], ARGV[at + 1], ARGV[at + 5])
  end
end
return answer
