-- Writes the changed settings of a topic over an older version of it. Its name and state stay.
-- KEYS  meta, lease, lease_seq, ops, topic:<id>
-- ARGV  the fence's five, topic id, version, then fields and values that changed with it by turns
-- Returns {OK, revision}, {UNCHANGED, revision} (this version or a newer one is there), {TOPIC_MISSING} or what the
--         fence answers.
-- @include check-fence
-- @include record-change

local refused = check_fence()
if refused then return refused end
local stored = redis.call('HMGET', KEYS[5], 'name', 'version')
if not stored[1] then return { CODE.TOPIC_MISSING } end
-- A version that is no number is older than any.
if (tonumber(stored[2] or '') or -1) >= tonumber(ARGV[7]) then return unchanged() end

local revision = record_change('topic_update', ARGV[6])
for at = 8, #ARGV, 2 do redis.call('HSET', KEYS[5], ARGV[at], ARGV[at + 1]) end
return { CODE.OK, revision }
