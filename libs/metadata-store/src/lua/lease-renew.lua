-- Extends the lease by the time it was taken for.
-- KEYS  meta, lease, lease_seq, ops
-- ARGV  the fence's five
-- Returns {OK, revision} or what the fence answers. A missing generation does not end a lease.
-- @include check-fence

local refused = check_lease()
if refused then return refused end
redis.call('PEXPIRE', KEYS[2], redis.call('HGET', KEYS[2], 'ttl_ms'))
return { CODE.OK, tonumber(redis.call('HGET', KEYS[1], 'revision') or '') or 0 }
