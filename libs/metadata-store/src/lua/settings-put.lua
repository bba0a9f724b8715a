-- Writes the settings of the cluster over an older version of them.
-- KEYS  meta, lease, lease_seq, ops, settings
-- ARGV  the fence's five, version, then fields and values by turns
-- Returns {OK, revision}, {UNCHANGED, revision} (this version or a newer one is there) or what the fence answers.
-- @include check-fence
-- @include record-change

local refused = check_fence()
if refused then return refused end
-- A version that is no number is older than any.
local stored = tonumber(redis.call('HGET', KEYS[5], 'version') or '') or -1
if stored >= tonumber(ARGV[6]) then return unchanged() end

local revision = record_change('settings_put', ARGV[6])
for at = 7, #ARGV, 2 do redis.call('HSET', KEYS[5], ARGV[at], ARGV[at + 1]) end
return { CODE.OK, revision }
