-- Counts a write. Alone for what is written so often that its notes would push all others out of the stream.
local function count_change()
  return redis.call('HINCRBY', KEYS[1], 'revision', 1)
end

-- Counts a write and notes it in the audit stream. Called once by each script that writes, before its data: should
-- a later command fail, a revision without a change is harmless, a change without a revision is not.
--   KEYS[1] meta, KEYS[4] ops; ARGV[3] token. Returns the new revision.

local function record_change(op, subject)
  local revision = count_change()
  note('op', op, 'subject', subject, 'token', ARGV[3], 'revision', revision)
  return revision
end

-- The answer of a script that had nothing to change.
local function unchanged()
  return { CODE.UNCHANGED, whole(fields(KEYS[1], 'revision')[1]) or 0 }
end
