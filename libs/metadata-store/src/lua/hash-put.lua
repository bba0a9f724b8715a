-- Writes fields of one hash of the directory: brokers, hints about group shards, reassignments. An empty value removes the
-- field.
-- KEYS  meta, lease, lease_seq, ops, the hash
-- ARGV  the fence's five, op (for the audit), then fields and values by turns
-- Returns {OK, revision}, {UNCHANGED, revision} or what the fence answers.
-- @include check-fence
-- @include record-change

local refused = check_fence()
if refused then return refused end
local changed = {}
for at = 7, #ARGV, 2 do
  local stored = redis.call('HGET', KEYS[5], ARGV[at]) or ''
  if stored ~= ARGV[at + 1] then changed[#changed + 1] = at end
end
if #changed == 0 then return unchanged() end

local subjects = {}
for i, at in ipairs(changed) do subjects[i] = ARGV[at] end
local revision = record_change(ARGV[6], table.concat(subjects, ' '))
for _, at in ipairs(changed) do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', KEYS[5], ARGV[at])
  else
    redis.call('HSET', KEYS[5], ARGV[at], ARGV[at + 1])
  end
end
return { CODE.OK, revision }
