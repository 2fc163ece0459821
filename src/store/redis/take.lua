-- Removes up to `limit` records that expire within the bounds, soonest first, leaving `keep` of them.
-- Answers {key, value, version, expires_at} of each; without the values where nobody reads them.
-- KEYS: the kind's index by expiry. The records' names are made from the prefix: the same hash tag.
local prefix, from, to = ARGV[1], ARGV[2], ARGV[3]
local keep, limit, with_rows = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
if keep > 0 then
  limit = math.min(limit, redis.call('ZCOUNT', KEYS[1], from, to) - keep)
end
if limit <= 0 then return {} end
local taken = {}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], from, to, 'LIMIT', 0, limit)) do
  local record = prefix .. key
  local row = {key, '', '0', '0'}
  if with_rows then
    local kept = redis.call('HMGET', record, 'value', 'version', 'expires_at')
    row = {key, kept[1] or '', kept[2] or '0', kept[3] or '0'}
  end
  redis.call('DEL', record)
  redis.call('ZREM', KEYS[1], key)
  taken[#taken + 1] = row
end
return taken
