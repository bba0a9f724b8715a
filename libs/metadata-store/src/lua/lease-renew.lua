-- Extends the lease by the time it was taken for.
-- KEYS  meta, lease, lease_seq, ops
-- ARGV  the fence's five
-- Returns {OK, revision} or what the fence answers. A missing generation does not end a lease; one whose time is no
--         number is over.
-- @include check-fence

local refused = check_lease()
if refused then return refused end
local ttl_ms = whole(fields(KEYS[2], 'ttl_ms')[1])
if not ttl_ms or ttl_ms == 0 then return { CODE.LEASE_LOST, '' } end
redis.call('PEXPIRE', KEYS[2], ttl_ms)
return { CODE.OK, whole(fields(KEYS[1], 'revision')[1]) or 0 }
