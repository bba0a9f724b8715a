-- Forgets a broker.
-- KEYS  meta, lease, lease_seq, ops, brokers
-- ARGV  the fence's five, broker id
-- Returns {OK, revision}, {UNCHANGED, revision} or what the fence answers.
-- @include check-fence
-- @include record-change

local refused = check_fence()
if refused then return refused end
if redis.call('HEXISTS', KEYS[5], ARGV[6]) == 0 then return unchanged() end

local revision = record_change('broker_remove', ARGV[6])
redis.call('HDEL', KEYS[5], ARGV[6])
return { CODE.OK, revision }
