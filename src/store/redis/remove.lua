-- Removes a record, live or expired, if its version is the given one or none is given.
-- KEYS: the record, its kind's index by expiry.
local version, key = ARGV[1], ARGV[2]
local current = redis.call('HGET', KEYS[1], 'version')
if current and version ~= '' and version ~= current then return 0 end
-- Also without a record: Redis may have dropped it by itself, and its key is still listed.
redis.call('ZREM', KEYS[2], key)
if not current then return 0 end
redis.call('DEL', KEYS[1])
return 1
