-- Takes a name for a new topic, or for one that had another, and writes the topic.
-- KEYS  meta, lease, lease_seq, ops, topics, topic:<id>, tomb:<id>
-- ARGV  the fence's five, name, topic id, then fields and values of the topic by turns
-- Returns {OK, revision}, {UNCHANGED, revision} (this very topic is there), {NAME_TAKEN, topic id},
--         {TOPIC_DELETED} (the id has a tombstone) or what the fence answers.
-- @include check-fence
-- @include record-change

local refused = check_fence()
if refused then return refused end
local name, topic_id = ARGV[6], ARGV[7]
if redis.call('EXISTS', KEYS[7]) == 1 then return { CODE.TOPIC_DELETED } end
local owner = redis.call('HGET', KEYS[5], name)
local before = redis.call('HGET', KEYS[6], 'name')
if owner == topic_id and before == name then return unchanged() end
if owner and owner ~= topic_id then return { CODE.NAME_TAKEN, owner } end
local left = before and before ~= name and redis.call('HGET', KEYS[5], before) == topic_id

local revision = record_change('topic_create', topic_id)
if left then redis.call('HDEL', KEYS[5], before) end
redis.call('HSETNX', KEYS[5], name, topic_id)
for at = 8, #ARGV, 2 do redis.call('HSET', KEYS[6], ARGV[at], ARGV[at + 1]) end
return { CODE.OK, revision }
