"""What Redis executes as a whole.

    {series}:days                     the ledger: a sorted set of publications by the number of their day
    {series}:superseded               publications whose rows may go, by the time at which they were superseded
    {series}:<publication>            what the publication is, as JSON
    {series}:<publication>:<bucket>   a hash of some 250 entities

A publication is written ``<day>|<publication>|<buckets>|<run>``. The braces are part of the keys: in a cluster, all keys of a
series lie on one server.
"""

#: Puts a publication (ARGV[2]) in place of another (ARGV[1]; empty: of none) at a day (ARGV[3]). An empty ARGV[2] withdraws.
#: Returns the publication that stands now: where it is another one, nothing was done. A publication that is not announced
#: any more has lost its rows.
SWITCH = """
local now = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[3], ARGV[3])[1] or ''
if now ~= ARGV[1] then return now end
if ARGV[2] ~= '' and not redis.call('ZSCORE', KEYS[2], ARGV[2]) then return now end
if now ~= '' then
    redis.call('ZREM', KEYS[1], now)
    redis.call('ZADD', KEYS[2], redis.call('TIME')[1], now)
end
if ARGV[2] ~= '' then
    redis.call('ZADD', KEYS[1], ARGV[3], ARGV[2])
    redis.call('ZREM', KEYS[2], ARGV[2])
end
return ARGV[2]
"""

#: Looks back over the ledger for an entity (ARGV[2], with its checksum in ARGV[3]) below the prefix of keys ARGV[1].
#: Returns the publication, what it is, and the row; nothing where no day has the entity.
LOOKUP = """
local at = 0
while true do
    local days = redis.call('ZREVRANGE', KEYS[1], at, at + 31)
    if #days == 0 then return nil end
    for _, day in ipairs(days) do
        local publication, buckets = string.match(day, '^[^|]*|([^|]*)|([^|]*)|')
        buckets = tonumber(buckets)
        if buckets > 0 then
            local key = ARGV[1] .. publication
            local row = redis.call('HGET', key .. ':' .. string.format('%d', tonumber(ARGV[3]) % buckets), ARGV[2])
            if row then return {day, redis.call('GET', key), row} end
        end
    end
    at = at + 32
end
"""

#: The publications that were superseded at ARGV[1] at the latest, by the server's clock (seconds before now).
SWEPT = """
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1] - ARGV[1])
"""

#: Notes a publication (ARGV[1]) that is about to be loaded, as if it were superseded ARGV[2] seconds from now: where its
#: process is killed, its rows go.
ANNOUNCE = """
return redis.call('ZADD', KEYS[1], redis.call('TIME')[1] + ARGV[2], ARGV[1])
"""
