-- Reading what others may have written: keys of another type and values that no script wrote count as absent, so that
-- garbage is written over like an empty directory, and never stops a script.

-- The number, or nil where the text is no whole number that a script would have counted to.
local function whole(text)
  if type(text) ~= 'string' or not string.match(text, '^%d+$') then return nil end
  local number = tonumber(text)
  if number > LIMIT.COUNT then return nil end
  return number
end

-- Fields of a hash, in the order of their names; all nil where the key is no hash.
local function fields(key, ...)
  if redis.call('TYPE', key).ok ~= 'hash' then return {} end
  return redis.call('HMGET', key, ...)
end

local function is_uuid(text)
  return type(text) == 'string' and #text == 36 and string.match(text, '^%x+%-%x+%-%x+%-%x+%-%x+$') ~= nil
end

-- The highest token given.
local function token_given()
  if redis.call('TYPE', KEYS[3]).ok ~= 'string' then return 0 end
  return whole(redis.call('GET', KEYS[3])) or 0
end

-- Notes something in the stream `ops`. A stream that takes no entry any more begins anew.
local function note(...)
  local added = redis.pcall('XADD', KEYS[4], 'MAXLEN', '~', LIMIT.AUDIT_COUNT, '*', ...)
  if type(added) ~= 'table' or not added.err then return end
  local full = string.find(added.err, 'last possible ID') or string.find(added.err, 'equal or smaller')
  if full or string.find(added.err, 'WRONGTYPE') then redis.call('DEL', KEYS[4]) end
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', LIMIT.AUDIT_COUNT, '*', ...)
end
