-- Writes a record if the condition holds. 1: written, 0: not.
-- KEYS: the record, its kind's index by expiry. All times are Unix milliseconds of the caller.
local version, expected, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key, value, expires_at, keep_for = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local current = redis.call('HMGET', KEYS[1], 'version', 'expires_at')
-- This very write, sent again because its answer was lost.
if current[1] == version then return 1 end
local live = current[1] and tonumber(current[2]) > now
if expected == '' then
  if live then return 0 end
elseif not live or current[1] ~= expected then
  return 0
end
redis.call('HSET', KEYS[1], 'value', value, 'version', version, 'expires_at', expires_at)
redis.call('PEXPIRE', KEYS[1], keep_for)
redis.call('ZADD', KEYS[2], expires_at, key)
return 1
