import { defineScript } from "../redis/script.ts";

/** Values of one ask in the script's arguments, beside its key. */
export const argumentsPerAsk = 9;
/** Numbers of one answer: granted or not, tokens, remaining, reset, retry. */
export const numbersPerAnswer = 5;

/**
 * The arithmetic of `fixed-window.ts` and its neighbours once more, for the server: Redis decides in one
 * step only what it computes itself. A test plays the same asks to both and compares every answer.
 *
 * Keys: one an ask. Arguments of an ask: asks in its call (0: it belongs to the call before), verb,
 * algorithm, limit, window, capacity, cost, up to, ticket. The answer: the server's time, then the
 * numbers of every ask.
 */
export const limitScript = defineScript(`
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function grant(ask, available)
  if available < ask.cost then return 0 end
  return math.min(ask.upto, math.max(ask.cost, math.floor(available / 2)))
end

local function read(key)
  local state, text = {}, redis.call('get', key)
  if not text then return nil end
  for number in string.gmatch(text, '[^,]+') do state[#state + 1] = tonumber(number) end
  return state
end

local function write(key, state, keep)
  if keep <= 0 then redis.call('del', key) return end
  local texts = {}
  for at, number in ipairs(state) do texts[at] = string.format('%.0f', number) end
  redis.call('set', key, table.concat(texts, ','), 'px', string.format('%.0f', keep))
end

local take, give = {}, {}

local function window(state, ask)
  local start, used = now, 0
  if state then start, used = state[1], state[2] end
  if used == 0 or now >= start + ask.window then return now, 0 end
  return start, used
end
function take.fixed_window(state, ask)
  local start, used = window(state, ask)
  local granted = grant(ask, ask.limit - used)
  local reset = start + ask.window - now
  local spent = used + granted
  return { start, spent }, granted, math.max(0, ask.limit - spent),
    spent == 0 and 0 or reset, granted > 0 and 0 or reset
end
function give.fixed_window(state, ask)
  local start, used = window(state, ask)
  if ask.ticket >= start then used = math.max(0, used - ask.cost) end
  return { start, used }, 0, math.max(0, ask.limit - used), used == 0 and 0 or start + ask.window - now, 0
end

local function counts(state, ask)
  local start, current, previous = now, 0, 0
  if state then start, current, previous = state[1], state[2], state[3] end
  if current + previous == 0 or now >= start + 2 * ask.window then return now, 0, 0 end
  if now < start + ask.window then return start, current, previous end
  return start + ask.window, 0, current
end
local function counted(ask, start, current, previous)
  local overlap = ask.window - math.max(0, now - start)
  local free = (ask.limit - current) * ask.window - previous * overlap
  local reset = 0
  if current > 0 then reset = start + 2 * ask.window - now
  elseif previous > 0 then reset = start + ask.window - now end
  return math.max(0, math.floor(free / ask.window)), reset
end
function take.sliding_counter(state, ask)
  local start, current, previous = counts(state, ask)
  local granted, retry = grant(ask, (counted(ask, start, current, previous))), 0
  if granted == 0 then
    local free = ask.limit - current - ask.cost
    retry = start + ask.window - now
    if free >= 0 then retry = retry - math.floor(free * ask.window / previous)
    else retry = retry + math.max(0, ask.window - math.floor((ask.limit - ask.cost) * ask.window / current)) end
  end
  local remaining, reset = counted(ask, start, current + granted, previous)
  return { start, current + granted, previous }, granted, remaining, reset, retry
end
function give.sliding_counter(state, ask)
  local start, current, previous = counts(state, ask)
  if ask.ticket >= start then current = math.max(0, current - ask.cost)
  elseif ask.ticket >= start - ask.window then previous = math.max(0, previous - ask.cost) end
  local remaining, reset = counted(ask, start, current, previous)
  return { start, current, previous }, 0, remaining, reset, 0
end

local function log(state, ask)
  local kept, used = {}, 0
  for at = 1, #(state or {}), 2 do
    if state[at] + ask.window > now or #kept > 0 then
      kept[#kept + 1], kept[#kept + 2] = state[at], state[at + 1]
      used = used + state[at + 1]
    end
  end
  return kept, used
end
local function logged(kept, used, ask)
  return math.max(0, ask.limit - used), #kept == 0 and 0 or kept[#kept - 1] + ask.window - now
end
function take.sliding_log(state, ask)
  local kept, used = log(state, ask)
  local granted, retry = grant(ask, ask.limit - used), 0
  if granted == 0 then
    local freed, at = 0, 1
    while freed < used + ask.cost - ask.limit do
      freed = freed + kept[at + 1]
      retry = kept[at] + ask.window - now
      at = at + 2
    end
  elseif #kept > 0 and kept[#kept - 1] >= now then kept[#kept] = kept[#kept] + granted
  else kept[#kept + 1], kept[#kept + 2] = now, granted end
  local remaining, reset = logged(kept, used + granted, ask)
  return kept, granted, remaining, reset, retry
end
function give.sliding_log(state, ask)
  local before = log(state, ask)
  local kept, used = {}, 0
  for at = 1, #before, 2 do
    local left = before[at + 1]
    if before[at] == ask.ticket then left = left - ask.cost end
    if left > 0 then
      kept[#kept + 1], kept[#kept + 2] = before[at], left
      used = used + left
    end
  end
  local remaining, reset = logged(kept, used, ask)
  return kept, 0, remaining, reset, 0
end

local function bucket(state, ask)
  local full = ask.capacity * ask.window
  local level, at = full, now
  if state then level, at = state[1], state[2] end
  return math.min(full, level + math.max(0, now - at) * ask.limit), math.max(at, now), full
end
function take.token_bucket(state, ask)
  local level, at, full = bucket(state, ask)
  local granted, retry = grant(ask, math.floor(level / ask.window)), 0
  if granted == 0 then retry = math.ceil((ask.cost * ask.window - level) / ask.limit) end
  level = level - granted * ask.window
  return { level, at }, granted, math.floor(level / ask.window), math.ceil((full - level) / ask.limit), retry
end
function give.token_bucket(state, ask)
  local level, at, full = bucket(state, ask)
  level = math.min(full, level + ask.cost * ask.window)
  return { level, at }, 0, math.floor(level / ask.window), math.ceil((full - level) / ask.limit), 0
end

local function places(state, ask)
  local others = {}
  for at = 1, #(state or {}), 2 do
    if state[at + 1] > now and state[at] ~= ask.ticket then
      others[#others + 1], others[#others + 2] = state[at], state[at + 1]
    end
  end
  return others
end
local function placed(others, ask)
  local last = now
  for at = 2, #others, 2 do last = math.max(last, others[at]) end
  return math.max(0, ask.limit - #others / 2), last - now
end
local function enter(state, ask, forced)
  local others = places(state, ask)
  local granted, retry = 1, 0
  if forced or #others / 2 < ask.limit then
    others[#others + 1], others[#others + 2] = ask.ticket, now + ask.window
  else
    granted, retry = 0, math.huge
    for at = 2, #others, 2 do retry = math.min(retry, others[at] - now) end
  end
  local remaining, reset = placed(others, ask)
  return others, granted, remaining, reset, retry
end
function take.concurrency(state, ask) return enter(state, ask, false) end
function give.concurrency(state, ask)
  local others = places(state, ask)
  local remaining, reset = placed(others, ask)
  return others, 0, remaining, reset, 0
end

local function decide(ask, state)
  if ask.verb == 'extend' then return enter(state, ask, true) end
  if ask.verb == 'take' then return take[ask.algorithm](state, ask) end
  return give[ask.algorithm](state, ask)
end

local answers, at = { now }, 1
while at <= #KEYS do
  local size, all, outcomes = tonumber(ARGV[${argumentsPerAsk} * (at - 1) + 1]), true, {}
  for member = at, at + size - 1 do
    local from = ${argumentsPerAsk} * (member - 1)
    local ask = { verb = ARGV[from + 2], algorithm = ARGV[from + 3], limit = tonumber(ARGV[from + 4]),
      window = tonumber(ARGV[from + 5]), capacity = tonumber(ARGV[from + 6]), cost = tonumber(ARGV[from + 7]),
      upto = tonumber(ARGV[from + 8]), ticket = tonumber(ARGV[from + 9]) }
    local state, granted, remaining, reset, retry = decide(ask, read(KEYS[member]))
    local yes = granted > 0 or ask.verb == 'give_back'
    all = all and yes
    outcomes[#outcomes + 1] = { state, granted, remaining, reset, retry, yes }
  end
  for member, outcome in ipairs(outcomes) do
    if all then write(KEYS[at + member - 1], outcome[1], outcome[4])
    else outcome[2], outcome[3] = 0, outcome[3] + outcome[2] end
    local from = #answers
    answers[from + 1] = outcome[6] and 1 or 0
    for number = 2, 5 do answers[from + number] = outcome[number] end
  end
  at = at + size
end
return answers
`);
