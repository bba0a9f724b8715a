-- Removes a topic and its partitions and remembers its id for a while.
-- KEYS  meta, lease, lease_seq, ops, topics, topic:<id>, part:<id>, tomb:<id>
-- ARGV  the fence's five, topic id, tombstone as JSON, how long to keep it in ms
-- Returns {OK, revision}, {UNCHANGED, revision} or what the fence answers.
-- @include check-fence
-- @include record-change

local refused = check_fence()
if refused then return refused end
local topic_id = ARGV[6]
local name = redis.call('HGET', KEYS[6], 'name')
if not name and redis.call('EXISTS', KEYS[8]) == 1 then return unchanged() end
local owner = name and redis.call('HGET', KEYS[5], name)

local revision = record_change('topic_delete', topic_id)
redis.call('SET', KEYS[8], ARGV[7], 'PX', ARGV[8])
-- The name may be another topic's by now.
if owner == topic_id then redis.call('HDEL', KEYS[5], name) end
redis.call('DEL', KEYS[6], KEYS[7])
return { CODE.OK, revision }
