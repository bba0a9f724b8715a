-- Marks a topic as active: enough of its replicas hold its configuration.
-- KEYS  meta, lease, lease_seq, ops, topic:<id>
-- ARGV  the fence's five, topic id
-- Returns {OK, revision}, {UNCHANGED, revision}, {TOPIC_MISSING} or what the fence answers.
-- @include check-fence
-- @include record-change

local refused = check_fence()
if refused then return refused end
local state = redis.call('HGET', KEYS[5], 'state')
if not state then return { CODE.TOPIC_MISSING } end
if state == 'active' then return unchanged() end

local revision = record_change('topic_activate', ARGV[6])
redis.call('HSET', KEYS[5], 'state', 'active')
return { CODE.OK, revision }
