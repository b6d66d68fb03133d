import { assert } from "../../kernel/assert.ts";
import { newId } from "../../kernel/ids.ts";
import { createCoalescer } from "../coalescer/coalescer.ts";
import { RedisError, toRedisError } from "../redis/errors.ts";
import type { RedisArgument, RedisNode } from "../redis/node.ts";
import { defineScript, runScript } from "../redis/script.ts";
import type { RingMember } from "./ring-member.ts";

/** What the tier works with. */
export interface RedisSharedTierConfig {
  readonly node: RedisNode;
  /** In front of its keys, without braces; default `brandos:cache:`. */
  readonly prefix?: string;
  /** Whether the node is a Redis Cluster: commands of several keys go key by key; default false. */
  readonly isCluster?: boolean;
  /** `host:port`, for messages; default `redis`. */
  readonly server?: string;
}

type Verb = "write" | "remove" | "claim" | "fill" | "unclaim";

interface Operation {
  readonly verb: Verb;
  readonly key: string;
  readonly token: string;
  readonly bytes: Buffer | "";
  /** Time to live or lease, milliseconds. */
  readonly ms: number;
}

/** 1 for done, 0 for refused, -1 when there was no memory for it. */
type Answer = number;

/**
 * How long a tag is known, milliseconds, since it began or was renewed. Then it begins again at the server's
 * clock, and what was stored with it before is gone: once a week.
 */
const tagTtlMs = 7 * 24 * 60 * 60_000;

/**
 * Keeps a shared tier in Redis or Valkey: one server, or a Redis Cluster. Concurrent calls of a
 * process share a command on a server, a pipeline in a cluster.
 *
 * A value and the claim on its key lie in one slot, so that one script changes both. Use an eviction
 * policy (`allkeys-lru`): whatever is evicted is only loaded again.
 */
export function createRedisSharedTier(config: RedisSharedTierConfig): RingMember {
  const { node, prefix = "brandos:cache:", isCluster = false, server = "redis" } = config;
  assert(!/[{}]/.test(prefix), "the prefix of cache keys has no braces");
  const valueKey = (key: string) => `${prefix}v{${key}}`;
  const claimKey = (key: string) => `${prefix}c{${key}}`;

  /** Says which server did not answer. */
  const told = async <Value>(work: Promise<Value>): Promise<Value> => {
    try {
      return await work;
    } catch (error) {
      throw toRedisError(error, server);
    }
  };
  const read = createReader(node, isCluster);
  const get: Reader = (keys) => told(read(keys));
  const operate = createWriter(async (batch) => {
    const keys = batch.flatMap(({ key }) => [valueKey(key), claimKey(key)]);
    const args = batch.flatMap(({ verb, token, bytes, ms }) => [verb, token, bytes, ms]);
    return (await runScript(node, entryScript, keys, args)) as Answer[];
  }, isCluster);
  const submit = async (operations: readonly Operation[]): Promise<readonly Answer[]> => {
    const answers = await told(Promise.all(operations.map(operate)));
    if (answers.includes(-1))
      throw new RedisError("ERR_REDIS_UNAVAILABLE", `${server} has no memory left`);
    return answers;
  };
  return {
    name: "redis",
    ...createEpochs(`${prefix}t`, isCluster, get, (keys, args) =>
      told(runScript(node, tagScript, keys, args)),
    ),
    async life() {
      // After a start it has what was last saved, after a failover what had been copied: both are older.
      const info = isCluster ? "" : String(await told(node.call("info", "server")));
      return /run_id:(\w+)/.exec(info)?.[1] ?? "";
    },
    read: (keys) => get(keys.map(valueKey)),
    async write(entries) {
      await submit(
        entries.map(({ key, bytes, ttlMs }) => operation("write", key, { bytes, ms: ttlMs })),
      );
    },
    async remove(keys) {
      await submit(keys.map((key) => operation("remove", key, {})));
    },
    async claim(key, leaseMs) {
      const token = newId();
      const [answer] = await submit([operation("claim", key, { token, ms: leaseMs })]);
      return answer === 1 ? { token } : undefined;
    },
    async fill({ token }, { key, bytes, ttlMs }) {
      const [answer] = await submit([operation("fill", key, { token, bytes, ms: ttlMs })]);
      return answer === 1;
    },
    async unclaim({ token }, key) {
      await submit([operation("unclaim", key, { token })]);
    },
  };
}

type Epochs = Pick<RingMember, "epochs" | "knownEpochs" | "renew" | "lift">;

function createEpochs(
  prefix: string,
  isCluster: boolean,
  get: Reader,
  run: (keys: readonly string[], args: readonly RedisArgument[]) => Promise<unknown>,
): Epochs {
  const keysOf = (tags: readonly string[]) => tags.map((tag) => `${prefix}{${tag}}`);
  const change = async (
    verb: "begin" | "renew" | "lift",
    tags: readonly string[],
    to: readonly number[] = [],
  ): Promise<readonly number[]> => {
    if (tags.length === 0) return [];
    const ask = async (keys: readonly string[], numbers: readonly number[]) =>
      (await run(keys, [verb, ...numbers])) as readonly string[];
    const keys = keysOf(tags);
    const each = () => Promise.all(keys.map((key, at) => ask([key], to.slice(at, at + 1))));
    return (isCluster ? (await each()).flat() : await ask(keys, to)).map(Number);
  };
  const knownEpochs = async (tags: readonly string[]) => {
    const found = await get(keysOf(tags));
    return found.map((epoch) => (epoch ? Number(epoch) : undefined));
  };
  return {
    knownEpochs,
    async epochs(tags) {
      const known = await knownEpochs(tags);
      const unknown = tags.filter((_, at) => known[at] === undefined);
      const epochs = await change("begin", unknown);
      const begun = new Map(epochs.map((epoch, at) => [unknown[at], epoch]));
      return known.map((epoch, at) => epoch ?? (begun.get(tags[at]) as number));
    },
    renew: (tags) => change("renew", tags),
    async lift(tags, epochs) {
      await change("lift", tags, epochs);
    },
  };
}

function operation(verb: Verb, key: string, given: Partial<Operation>): Operation {
  const { token = "", bytes = "", ms = 1 } = given;
  return { verb, key, token, bytes, ms: Math.max(1, Math.ceil(ms)) };
}

type Reader = (keys: readonly string[]) => Promise<readonly (Buffer | undefined)[]>;

function createReader(node: RedisNode, isCluster: boolean): Reader {
  const found = (value: unknown) => (value as Buffer | null) ?? undefined;
  if (isCluster) {
    return async (keys) =>
      (await Promise.all(keys.map((key) => node.callBuffer("get", key)))).map(found);
  }
  const reads = createCoalescer<readonly string[], readonly (Buffer | undefined)[]>({
    name: "cache.redis.read",
    batchMax: 100,
    inFlightMax: 8,
    // 105,000 reads a second by 10 callers instead of 76,000; by 50 it is 257,000 instead of 269,000.
    divideInto: 2,
    waitingMax: 10_000,
    isSplittable: () => false,
    async run(_, batch) {
      const values = (await node.callBuffer("mget", ...batch.flat())) as unknown[];
      let end = 0;
      return batch.map(({ length }) => {
        end += length;
        return values.slice(end - length, end).map(found);
      });
    },
  });
  return async (keys) => {
    if (keys.length === 0) return [];
    // A large read is worth a command of its own.
    if (keys.length > 10) return ((await node.callBuffer("mget", ...keys)) as unknown[]).map(found);
    return reads.submit("", keys);
  };
}

function createWriter(
  run: (batch: readonly Operation[]) => Promise<readonly Answer[]>,
  isCluster: boolean,
): (operation: Operation) => Promise<Answer> {
  if (isCluster) return async (each) => (await run([each]))[0] as Answer;
  const operations = createCoalescer<Operation, Answer>({
    name: "cache.redis",
    batchMax: 100,
    inFlightMax: 8,
    divideInto: 4,
    waitingMax: 10_000,
    // A server that is away is away for each of them.
    isSplittable: () => false,
    run: (_, batch) => run(batch),
  });
  return (each) => operations.submit("", each);
}

/** Where a value does not fit, what was there goes as well: it is older. */
const entryScript = defineScript(`
  local function put(value, claim, bytes, ms)
    local done = redis.pcall('set', value, bytes, 'px', ms)
    redis.call('unlink', claim)
    if done.err == nil then return 1 end
    redis.call('unlink', value)
    return -1
  end
  local answers = {}
  for at = 1, #KEYS / 2 do
    local value, claim = KEYS[2 * at - 1], KEYS[2 * at]
    local verb, token, bytes, ms = ARGV[4 * at - 3], ARGV[4 * at - 2], ARGV[4 * at - 1], ARGV[4 * at]
    local answer = 1
    if verb == 'write' then
      answer = put(value, claim, bytes, ms)
    elseif verb == 'remove' then
      redis.call('unlink', value, claim)
    elseif verb == 'claim' then
      local done = redis.pcall('set', claim, token, 'nx', 'px', ms)
      if not done then answer = 0 elseif done.err then answer = -1 end
    elseif redis.call('get', claim) ~= token then
      answer = 0
    elseif verb == 'fill' then
      answer = put(value, claim, bytes, ms)
    else
      redis.call('unlink', claim)
    end
    answers[at] = answer
  end
  return answers`);

/** Epochs as texts: a number of a script would lose digits on its way. */
const tagScript = defineScript(`
  local verb, epochs = ARGV[1], {}
  local time = redis.call('time')
  local clock = time[1] * 1000000 + time[2]
  for at, tag in ipairs(KEYS) do
    local known = tonumber(redis.call('get', tag) or '0')
    local epoch = known
    if verb == 'lift' then epoch = math.max(known, tonumber(ARGV[at + 1]))
    elseif verb == 'renew' then epoch = math.max(known + 1, clock)
    elseif known == 0 then epoch = clock end
    epochs[at] = string.format('%.0f', epoch)
    if epoch ~= known then redis.call('set', tag, epochs[at], 'px', ${tagTtlMs}) end
  end
  return epochs`);
