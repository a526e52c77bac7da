"""What has to happen in Redis at once, in its own language.

The keys of a task, by the names that the scripts give them:

| key | what it holds |
|---|---|
| `lease` | who leads, as `process:token`; it expires |
| `meta` | `epoch`, `fence` (the newest token), server `run`, `generation`, `top`, `deleted`; and
`summary`, what was left out of the log came to, up to the entry `summed` |
| `watchers` | processes that watch the task, by the time of their last sign of life, in ms |
| `log` | the log, a stream; its ids are `token-number`, so the newest token writes last; an entry
is `e`, and `p` the id of the one before it |
| `readers` | what each of them has read at its last sign of life, and its observers |
| `told` | what other processes tell the one that leads: a stream |
"""

from __future__ import annotations

from typing import Final

__all__ = ["APPEND", "BEAT", "CUT", "DELETE", "LEAVE", "TELL"]

BEAT: Final = """
local lease, meta, watchers, log, told, readers, tasks = unpack(KEYS)
local process, token, lease_ms, keep, candidate, run, name, reads = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local epoch = redis.call('HGET', meta, 'epoch')
if not epoch then
    epoch = candidate
    redis.call('DEL', log)  -- whose ids would be newer than those of the new one
    redis.call('HSET', meta, 'epoch', epoch, 'run', run, 'generation', 0, 'top', '0-0')
elseif redis.call('HGET', meta, 'run') ~= run then
    -- The server was restarted, and may have lost the end of the log: nobody goes on from there
    -- without a look at what is left.
    local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
    redis.call('HSET', meta, 'run', run, 'top', last[1] and last[1][1] or '0-0')
    redis.call('HINCRBY', meta, 'generation', 1)
    redis.call('DEL', lease)
end

for _, dead in ipairs(redis.call('ZRANGEBYSCORE', watchers, '-inf', now - 2 * lease_ms)) do
    redis.call('ZREM', watchers, dead)
    redis.call('HDEL', readers, dead)
end
redis.call('HSET', readers, process, reads)
redis.call('ZREM', watchers, process)
local others = redis.call('ZCARD', watchers)
redis.call('ZADD', watchers, now, process)
local deleted = redis.call('HEXISTS', meta, 'deleted') == 1
if not deleted then
    redis.call('ZADD', tasks, now, name)
end
redis.call('ZREMRANGEBYSCORE', tasks, '-inf', now - keep * 1000)

local owner = redis.call('GET', lease)
local mine = '0'
if not owner then
    mine = tostring(redis.call('HINCRBY', meta, 'fence', 1))
    redis.call('SET', lease, process .. ':' .. mine, 'PX', lease_ms)
elseif owner == process .. ':' .. token then
    mine = token
    redis.call('PEXPIRE', lease, lease_ms)
end
for _, key in ipairs({meta, watchers, log, told, readers}) do
    if deleted then
        redis.call('EXPIRE', key, 60, 'LT')  -- from the deletion on, whoever still watches
    else
        redis.call('EXPIRE', key, keep)
    end
end
redis.call('EXPIRE', tasks, keep)
local at = redis.call('HMGET', meta, 'generation', 'top')
return {epoch, at[1], at[2], mine, redis.call('PTTL', lease), others}
"""
"""Shows a sign of life, and takes or renews the lease; gives the place of the log, the token of
this process (0: it does not lead), the milliseconds that the lease has left, and how many others
watch."""

APPEND: Final = """
local lease, log, meta = unpack(KEYS)
local owner, id, data, previous, lease_ms, keep = unpack(ARGV)
if redis.call('GET', lease) ~= owner then
    return 0
end
local done = redis.pcall('XADD', log, id, 'e', data, 'p', previous)
if type(done) == 'table' and done.err and not string.find(done.err, 'equal or smaller') then
    return done
end
redis.call('PEXPIRE', lease, lease_ms)
if redis.call('TTL', log) == -1 then  -- its first entry
    redis.call('EXPIRE', log, redis.call('HEXISTS', meta, 'deleted') == 1 and 60 or keep)
end
for i = 7, #ARGV, 500 do
    redis.call('XDEL', log, unpack(ARGV, i, math.min(i + 499, #ARGV)))
end
return redis.call('XLEN', log)
"""
"""Writes an entry, unless somebody else leads; the same id is written once. Then deletes the
entries that are worth nothing with it. Gives the length of the log; 0: somebody else leads."""

CUT: Final = """
local lease, log, meta = unpack(KEYS)
local owner, upto, next, summary = unpack(ARGV)
if redis.call('GET', lease) ~= owner then
    return 0
end
redis.call('HSET', meta, 'summed', upto, 'summary', summary)
redis.call('XTRIM', log, 'MINID', '=', next)
return redis.call('XLEN', log)
"""
"""Leaves out the beginning of the log, of which a summary stays, unless somebody else leads. Gives
the length of the log; 0: somebody else leads."""

TELL: Final = """
local told, meta = unpack(KEYS)
local data, most, seconds = unpack(ARGV)
redis.call('XADD', told, 'MAXLEN', '~', most, '*', 't', data)
if redis.call('HEXISTS', meta, 'deleted') == 1 then
    redis.call('EXPIRE', told, 60, 'LT')
elseif redis.call('TTL', told) < tonumber(seconds) then
    redis.call('EXPIRE', told, seconds)
end
return 'OK'
"""
"""Tells the process that leads something, or the next one: nobody else may be there to keep it."""

LEAVE: Final = """
local lease, watchers, told, readers = unpack(KEYS)
local process, owner = unpack(ARGV)
redis.call('ZREM', watchers, process)
redis.call('HDEL', readers, process)
if redis.call('GET', lease) == owner then
    redis.call('DEL', lease)
    if redis.call('ZCARD', watchers) > 0 then
        redis.call('XADD', told, 'MAXLEN', '~', 1000, '*', 'free', '1')
        redis.call('EXPIRE', told, 600, 'NX')
    end
end
return 'OK'
"""
"""Watches no more, and lets somebody else lead at once."""

DELETE: Final = """
local meta, watchers, log, told, readers, tasks = unpack(KEYS)
redis.call('HSET', meta, 'deleted', '1')
for _, key in ipairs({meta, watchers, log, told, readers}) do
    redis.call('EXPIRE', key, 60, 'LT')
end
redis.call('ZREM', tasks, ARGV[1])
return 'OK'
"""
"""The task was deleted: nothing of it stays for longer than others need to read its end."""
