-- Replaces the whole directory, in steps that may be repeated. Between `begin` and `end` the generation is missing, so
-- that a directory left half written by a crash reads as none.
-- KEYS  meta, lease, lease_seq, ops, then the keys of the step
-- ARGV  the fence's five (generation and revision unused), step, new generation, then
--   begin   expected generation ('': none). KEYS: the hashes to empty
--   delete  nothing. KEYS: what to delete
--   put     place in KEYS, field, value, for each field of a hash
--   keep    ttl in ms, then a value for each key: strings that end by themselves
--   end     schema
-- Returns {OK, revision}, {UNCHANGED, revision} (at `begin`: this generation is complete), {ROLLED_BACK, generation,
--         revision} (the generation is not the expected one, or another rebuild has begun) or what the fence answers.
-- @include check-fence
-- @include record-change

local refused = check_lease()
if refused then return refused end
local step, new_generation = ARGV[6], ARGV[7]
local generation, revision = stored_build()
local rebuilding = fields(KEYS[1], 'rebuilding')[1]

if step == 'begin' then
  if generation == new_generation and revision then return unchanged() end
  if (generation or '') ~= ARGV[8] and rebuilding ~= new_generation then return rolled_back() end
  if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('DEL', KEYS[1]) end
  if not revision then redis.call('HDEL', KEYS[1], 'revision') end
  revision = record_change('rebuild_begin', new_generation)
  redis.call('HDEL', KEYS[1], 'generation')
  redis.call('HSET', KEYS[1], 'cluster_id', ARGV[1], 'rebuilding', new_generation)
  for at = 5, #KEYS do redis.call('DEL', KEYS[at]) end
  return { CODE.OK, revision }
end

if step == 'end' and generation == new_generation then return unchanged() end
if generation or not revision or rebuilding ~= new_generation then return rolled_back() end
if step == 'delete' then
  for at = 5, #KEYS do redis.call('DEL', KEYS[at]) end
elseif step == 'put' then
  for at = 8, #ARGV, 3 do redis.call('HSET', KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]) end
elseif step == 'keep' then
  for at = 5, #KEYS do redis.call('SET', KEYS[at], ARGV[at + 4], 'PX', ARGV[8]) end
elseif step == 'end' then
  revision = record_change('rebuild_end', new_generation)
  redis.call('HSET', KEYS[1], 'generation', new_generation, 'schema', ARGV[8])
  redis.call('HDEL', KEYS[1], 'rebuilding')
else
  return redis.error_reply('unknown step of rebuild: ' .. step)
end
return { CODE.OK, revision }
