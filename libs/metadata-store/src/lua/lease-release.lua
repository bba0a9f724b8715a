-- Gives the lease back if it is still the caller's.
-- KEYS  meta, lease, lease_seq, ops
-- ARGV  the fence's five
-- Returns {OK} or what the fence answers.
-- @include check-fence

local refused = check_lease()
if refused then return refused end
redis.call('DEL', KEYS[2])
note('op', 'lease_release', 'subject', '', 'token', ARGV[3], 'revision', '')
return { CODE.OK }
