import { createHash } from "node:crypto";
import { LockError } from "./errors.ts";
import { driftMs, quorumOf, validUntilMs } from "./lease.ts";
import type { LeaseRequest, LeaseStore, TakenLease } from "./store.ts";

/**
 * A connection to one Redis or Valkey server, as ioredis and iovalkey make it. Give it a
 * `commandTimeout`, `maxRetriesPerRequest: 1` and no offline queue: a node that is away must say so
 * well before a lease is over.
 */
export interface RedisNode {
  eval(script: string, keys: number, ...args: (string | number)[]): Promise<unknown>;
  evalsha(sha: string, keys: number, ...args: (string | number)[]): Promise<unknown>;
}

/** What the store works with. */
export interface RedisLeaseStoreConfig {
  /** Independent servers, an odd number: a majority decides. One is a single point of failure. */
  readonly nodes: readonly RedisNode[];
  /** Prefix of its keys; default `brandos:lock:`. */
  readonly prefix?: string;
}

/**
 * Keeps leases in Redis or Valkey, over several independent servers by the Redlock algorithm: a
 * lease is had when a majority gave it within its time, drift of the clocks deducted.
 *
 * Tokens: every server gives one larger than all it knows and than its clock; the largest of the
 * majority counts, and is written back to a majority before the lease counts as taken. So the next
 * majority, which shares a server with this one, gives a larger one.
 *
 * @see https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/
 * @see https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html
 */
export function createRedisLeaseStore(config: RedisLeaseStoreConfig): LeaseStore {
  const { nodes, prefix = "brandos:lock:" } = config;
  const quorum = quorumOf(nodes.length);

  /** Asks every node. @returns what a majority or more said, nothing when there is none */
  const askAll = async (
    script: Script,
    { name, holder }: LeaseRequest,
    ...args: (string | number)[]
  ): Promise<readonly (string | number | null)[]> => {
    // The braces keep both keys on one server of a cluster.
    const keys = [`{${prefix}${name}}`, `{${prefix}${name}}:token`];
    const answers = await Promise.allSettled(
      nodes.map((node) => run(node, script, keys, [holder, ...args])),
    );
    const given = answers.flatMap((answer) =>
      answer.status === "fulfilled" ? [answer.value as string | number | null] : [],
    );
    if (given.length >= quorum) return given;
    const [reason] = answers.flatMap((a) => (a.status === "rejected" ? [a.reason as unknown] : []));
    const message = `${given.length} of ${nodes.length} lock servers answered, ${quorum} are needed`;
    throw new LockError("ERR_LOCK_UNAVAILABLE", message, reason);
  };
  const release = async (request: LeaseRequest): Promise<boolean> => {
    const answers = await askAll(releaseScript, request);
    return answers.filter((answer) => answer === 1).length >= quorum;
  };
  const giveUp = async (request: LeaseRequest): Promise<void> => {
    // Where it does not arrive, the lease ends by itself.
    await release(request).catch(() => {});
  };
  const take = async (request: LeaseRequest): Promise<TakenLease | undefined> => {
    const askedAtMs = performance.now();
    const untilMs = validUntilMs(askedAtMs, request.leaseMs);
    const answers = await askAll(takeScript, request, Math.ceil(request.leaseMs));
    const tokens = answers.flatMap((answer) => (answer === null ? [] : [Number(answer)]));
    if (tokens.length < quorum) return undefined;
    const token = Math.max(...tokens);
    if (nodes.length > 1) {
      const raised = await askAll(raiseScript, request, String(token));
      if (raised.filter((answer) => answer === 1).length < quorum) return undefined;
    }
    return performance.now() < untilMs ? { token, validUntilMs: untilMs } : undefined;
  };
  return {
    async take(request) {
      let lease: TakenLease | undefined;
      try {
        lease = await take(request);
        return lease;
      } finally {
        if (!lease) await giveUp(request);
      }
    },
    async extend(request) {
      const askedAtMs = performance.now();
      const answers = await askAll(extendScript, request, Math.ceil(request.leaseMs));
      const kept = answers.filter((answer) => answer === 1).length;
      const untilMs = askedAtMs + request.leaseMs - driftMs(request.leaseMs);
      return kept >= quorum && performance.now() < untilMs ? untilMs : undefined;
    },
    release,
  };
}

/** A script, sent by its digest once a server knows it. */
interface Script {
  readonly text: string;
  readonly sha: string;
}

function scriptOf(text: string): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

async function run(
  node: RedisNode,
  { text, sha }: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await node.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return node.eval(text, keys.length, ...keys, ...args);
  }
}

/** Remembered for longer than any holder may be delayed; after that the clock alone speaks, milliseconds. */
const tokenTtlMs = 7 * 24 * 60 * 60_000;

const takeScript = scriptOf(`
    local holder = redis.call('get', KEYS[1])
    if holder and holder ~= ARGV[1] then return false end
    local time = redis.call('time')
    local micros = time[1] * 1000000 + time[2]
    local last = tonumber(redis.call('get', KEYS[2]) or '0')
    local token = string.format('%.0f', math.max(last + 1, micros))
    redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
    redis.call('set', KEYS[2], token, 'px', ${tokenTtlMs})
    return token`);

const raiseScript = scriptOf(`
    if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
    local last = tonumber(redis.call('get', KEYS[2]) or '0')
    if last < tonumber(ARGV[2]) then redis.call('set', KEYS[2], ARGV[2], 'px', ${tokenTtlMs}) end
    return 1`);

const extendScript = scriptOf(`
    if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
    redis.call('pexpire', KEYS[1], ARGV[2])
    return 1`);

const releaseScript = scriptOf(`
    if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
    redis.call('del', KEYS[1])
    return 1`);
