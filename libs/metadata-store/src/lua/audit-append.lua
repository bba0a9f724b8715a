-- Adds entries to the audit trail. The directory itself does not change.
-- KEYS  meta, lease, lease_seq, ops
-- ARGV  the fence's five, then for each entry five: operation, resource, client, time, details
-- Returns {OK, revision} or what the fence answers.
-- @include check-fence
-- @include record-change

local PER_ENTRY = 5

local refused = check_fence()
if refused then return refused end
for at = 6, #ARGV, PER_ENTRY do
  note('op', ARGV[at], 'subject', ARGV[at + 1], 'client', ARGV[at + 2], 'time', ARGV[at + 3], 'details', ARGV[at + 4])
end
return { CODE.OK, unchanged()[2] }
