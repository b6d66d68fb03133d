import { defineScript, type RedisScript } from "../redis/script.ts";
import { capacityOf, type LimitAlgorithm, type LimitPolicy } from "./policy.ts";
import type { StoreAnswer, StoreCall } from "./store.ts";

/** An algorithm in Lua. */
interface Arithmetic {
  readonly take: string;
  /** Goes with `take`. */
  readonly giveBack: string;
}

/**
 * The arithmetic of `fixed-window.ts` and its neighbours once more, for the server: Redis decides in one
 * step only what it computes itself. A test plays the same asks to both and compares every answer.
 */
const arithmetic: Readonly<Record<LimitAlgorithm, Arithmetic>> = {
  fixed_window: {
    take: `
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
`,
    giveBack: `
function give.fixed_window(state, ask)
  local start, used = window(state, ask)
  if ask.ticket >= start then used = math.max(0, used - ask.cost) end
  return { start, used }, 0, math.max(0, ask.limit - used), used == 0 and 0 or start + ask.window - now, 0
end
`,
  },
  sliding_counter: {
    take: `
local function counts(state, ask)
  local start, current, previous = now, 0, 0
  if state then start, current, previous = state[1], state[2], state[3] end
  local counting = now < start + ask.window and current + previous or current
  if counting == 0 or now >= start + 2 * ask.window then return now, 0, 0 end
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
`,
    giveBack: `
function give.sliding_counter(state, ask)
  local start, current, previous = counts(state, ask)
  if ask.ticket >= start then current = math.max(0, current - ask.cost)
  elseif ask.ticket >= start - ask.window then previous = math.max(0, previous - ask.cost) end
  local remaining, reset = counted(ask, start, current, previous)
  return { start, current, previous }, 0, remaining, reset, 0
end
`,
  },
  sliding_log: {
    take: `
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
`,
    giveBack: `
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
`,
  },
  token_bucket: {
    take: `
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
`,
    giveBack: `
function give.token_bucket(state, ask)
  local level, at, full = bucket(state, ask)
  level = math.min(full, level + ask.cost * ask.window)
  return { level, at }, 0, math.floor(level / ask.window), math.ceil((full - level) / ask.limit), 0
end
`,
  },
  concurrency: {
    take: `
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
function take.concurrency(state, ask, forced)
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
`,
    giveBack: `
function give.concurrency(state, ask)
  local others = places(state, ask)
  local remaining, reset = placed(others, ask)
  return others, 0, remaining, reset, 0
end
`,
  },
};

const before = `
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function grant(ask, available)
  if available < ask.cost then return 0 end
  return math.min(ask.upto, math.max(ask.cost, math.floor(available / 2)))
end

-- States are doubles, packed: as text, reading and writing them took a third of the time.
local function read(key)
  local text = redis.call('get', key)
  if not text then return nil end
  local state = { struct.unpack(string.rep('d', #text / 8), text) }
  state[#state] = nil -- where unpack stopped
  return state
end

local function write(key, state, keep)
  if keep <= 0 then redis.call('del', key) return end
  redis.call('set', key, struct.pack(string.rep('d', #state), unpack(state)), 'px', keep)
end

local take, give = {}, {}
`;

const decide = `
local batch = cjson.decode(ARGV[1])
local asks, policies, cursor, ask = batch.asks, batch.policies, 0, { }
local function decide(at)
  local place, verb = asks[cursor + 1], 1
  ask.size, ask.cost, ask.upto, ask.ticket = 1, 1, 1, 0
  cursor = cursor + 1
  if place < 0 then
    place, verb, ask.size = -place, asks[cursor + 1], asks[cursor + 2]
    ask.cost, ask.upto, ask.ticket = asks[cursor + 3], asks[cursor + 4], asks[cursor + 5]
    cursor = cursor + 5
  end
  local policy = policies[place]
  ask.limit, ask.window, ask.capacity = policy[2], policy[3], policy[4]
  if verb == 1 then return true, take[policy[1]](read(KEYS[at]), ask) end
  if verb == 2 then return true, take.concurrency(read(KEYS[at]), ask, true) end
  return false, give[policy[1]](read(KEYS[at]), ask)
end

local answers, count, at = { now }, 1, 1
local function answer(yes, granted, remaining, reset, retry)
  answers[count + 1], answers[count + 2], answers[count + 3] = yes and 1 or 0, granted, remaining
  answers[count + 4], answers[count + 5] = reset, retry
  count = count + 5
end
`;

/** All of a call or none. */
const decideTogether = `
local function together(outcomes, size)
  local all = true
  for member = 1, size do
    outcomes[member] = outcomes[member] or { decide(at + member - 1) }
    all = all and (outcomes[member][3] > 0 or not outcomes[member][1])
  end
  for member = 1, size do
    local takes, state, granted, remaining, reset, retry = unpack(outcomes[member])
    local yes = granted > 0 or not takes
    if all then write(KEYS[at + member - 1], state, reset)
    else granted, remaining = 0, remaining + granted end
    answer(yes, granted, remaining, reset, retry)
  end
end
`;

const settle = `
while at <= #KEYS do
  local takes, state, granted, remaining, reset, retry = decide(at)
  local size = ask.size
  if size == 1 then
    local yes = granted > 0 or not takes
    if yes then write(KEYS[at], state, reset) end
    answer(yes, granted, remaining, reset, retry)
  else
    together({ { takes, state, granted, remaining, reset, retry } }, size)
  end
  at = at + size
end
return answers
`;

const scripts = new Map<string, RedisScript>();

/**
 * The script that works on a batch. It holds what the batch needs and nothing else: a server makes
 * all functions of a script anew whenever it runs, which cost more than the work itself.
 */
export function scriptFor(batch: readonly StoreCall[]): RedisScript {
  const used = new Set<LimitAlgorithm>();
  let [givesBack, isTogether] = [false, false];
  for (const call of batch) {
    if (call.length > 1) isTogether = true;
    for (const { policy, verb } of call) {
      used.add(policy.algorithm);
      if (verb === "give_back") givesBack = true;
    }
  }
  const name = `${[...used].toSorted()} ${givesBack} ${isTogether}`;
  const known = scripts.get(name);
  if (known) return known;
  const functions = [...used].toSorted().map((algorithm) => {
    const { take, giveBack } = arithmetic[algorithm];
    return givesBack ? take + giveBack : take;
  });
  const made = defineScript(
    [before, ...functions, decide, isTogether ? decideTogether : "", settle].join(""),
  );
  scripts.set(name, made);
  return made;
}

const verbs = { take: 1, extend: 2, give_back: 3 } as const;

/**
 * The script's argument: the policies, and the asks. One that takes a single token by itself is the place
 * of its policy, from 1; every other one is six numbers: that place below zero, verb, size of the call,
 * cost, up to, ticket.
 */
export function argumentOf(batch: readonly StoreCall[]): string {
  const policies = new Map<LimitPolicy, number>();
  const asks: number[] = [];
  for (const call of batch) {
    for (const { verb, policy, cost, upTo, ticket } of call) {
      const place = policies.get(policy) ?? policies.size + 1;
      policies.set(policy, place);
      const isPlain = verb === "take" && call.length === 1 && upTo === 1 && ticket === 0;
      if (isPlain) asks.push(place);
      else asks.push(-place, verbs[verb], call.length, cost, upTo, ticket);
    }
  }
  const numbers = [...policies.keys()].map((policy) => {
    const { algorithm, limit, windowMs } = policy;
    return [algorithm, limit, windowMs, capacityOf(policy)];
  });
  return JSON.stringify({ policies: numbers, asks });
}

/** Numbers of one answer: granted or not, tokens, remaining, reset, retry. */
const numbersPerAnswer = 5;

/** Reads what the script says: the server's time, then the numbers of every ask. */
export function answersOf(
  batch: readonly StoreCall[],
  numbers: readonly number[],
): readonly (readonly StoreAnswer[])[] {
  const [atMs = 0] = numbers;
  let from = 1;
  return batch.map((call) =>
    call.map(() => {
      const answer: StoreAnswer = {
        isGranted: numbers[from] === 1,
        granted: numbers[from + 1] ?? 0,
        remaining: numbers[from + 2] ?? 0,
        resetMs: numbers[from + 3] ?? 0,
        retryAfterMs: numbers[from + 4] ?? 0,
        atMs,
      };
      from += numbersPerAnswer;
      return answer;
    }),
  );
}
