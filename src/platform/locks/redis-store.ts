import { type Coalescer, createCoalescer } from "../coalescer/coalescer.ts";
import type { RedisNode } from "../redis/node.ts";
import { defineScript, runScript } from "../redis/script.ts";
import { LockError } from "./errors.ts";
import { quorumOf, validUntilMs } from "./lease.ts";
import type { LeaseRequest, LeaseStore, TakenLease } from "./store.ts";

/** What the store works with. */
export interface RedisLeaseStoreConfig {
  /** Independent servers, an odd number: a majority decides. One is a single point of failure. */
  readonly nodes: readonly Pick<RedisNode, "eval" | "evalsha">[];
  /** Prefix of its keys; default `{brandos:lock}:`. The braces keep them on one server of a cluster. */
  readonly prefix?: string;
}

type Verb = "take" | "raise" | "extend" | "release";

interface Operation {
  readonly verb: Verb;
  readonly name: string;
  readonly holder: string;
  /** Lease in milliseconds, or the token to raise to. */
  readonly number: number;
}

/** A server's answer: a token, or 1 for done; 0 for refused. */
type Answer = number;

/**
 * Keeps leases in Redis or Valkey, over several independent servers by the Redlock algorithm: a
 * lease is had when a majority gave it within its time, drift of the clocks deducted. Concurrent
 * calls of a process share a command.
 *
 * Tokens: every server counts from its clock in microseconds; the largest of the majority counts, and
 * is written back to a majority before the lease counts as taken. So the next majority, which shares a
 * server with this one, gives a larger one.
 *
 * @see https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/
 * @see https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html
 */
export function createRedisLeaseStore(config: RedisLeaseStoreConfig): LeaseStore {
  const { prefix = "{brandos:lock}:" } = config;
  const nodes = config.nodes.map((node) => gather(node, prefix));
  const quorum = quorumOf(nodes.length);

  /** Asks every node. @returns what those said who answered: a majority or more */
  const askAll = async (verb: Verb, request: LeaseRequest, number: number): Promise<Answer[]> => {
    const { name, holder } = request;
    const operation = { verb, name, holder, number };
    const answers = await Promise.allSettled(nodes.map((node) => node.submit("", operation)));
    const given = answers.flatMap((answer) =>
      answer.status === "fulfilled" ? [answer.value] : [],
    );
    if (given.length >= quorum) return given;
    const [reason] = answers.flatMap((a) => (a.status === "rejected" ? [a.reason as unknown] : []));
    const message = `${given.length} of ${nodes.length} lock servers answered, ${quorum} are needed`;
    throw new LockError("ERR_LOCK_UNAVAILABLE", message, reason);
  };
  const isAgreed = (answers: readonly Answer[]): boolean =>
    answers.filter((answer) => answer > 0).length >= quorum;
  const release = async (request: LeaseRequest): Promise<boolean> =>
    isAgreed(await askAll("release", request, 0));
  const take = async (request: LeaseRequest): Promise<TakenLease | undefined> => {
    const untilMs = validUntilMs(performance.now(), request.leaseMs);
    const tokens = await askAll("take", request, Math.ceil(request.leaseMs));
    if (!isAgreed(tokens)) return undefined;
    const token = Math.max(...tokens);
    if (nodes.length > 1 && !isAgreed(await askAll("raise", request, token))) return undefined;
    return performance.now() < untilMs ? { token, validUntilMs: untilMs } : undefined;
  };
  return {
    async take(request) {
      let lease: TakenLease | undefined;
      try {
        lease = await take(request);
        return lease;
      } finally {
        // A minority may have given it. Where this does not arrive, it ends by itself.
        if (!lease && nodes.length > 1) await release(request).catch(() => {});
      }
    },
    async extend(request) {
      const untilMs = validUntilMs(performance.now(), request.leaseMs);
      const answers = await askAll("extend", request, Math.ceil(request.leaseMs));
      return isAgreed(answers) && performance.now() < untilMs ? untilMs : undefined;
    },
    release,
  };
}

/** Sends the operations of a moment in one command. */
function gather(
  node: Pick<RedisNode, "eval" | "evalsha">,
  prefix: string,
): Coalescer<Operation, Answer> {
  return createCoalescer({
    name: "locks.redis",
    batchMax: 100,
    inFlightMax: 8,
    // 63,000 locks a second by 10 callers instead of 45,000; by 200 it is 130,000 either way.
    divideInto: 6,
    waitingMax: 10_000,
    // A server that is away is away for each of them.
    isSplittable: () => false,
    async run(_, batch) {
      const keys = batch.flatMap(({ name }) => [prefix + name, `${prefix}${name}:token`]);
      const args = batch.flatMap(({ verb, holder, number }) => [verb, holder, number]);
      return (await runScript(node, script, keys, args)) as Answer[];
    },
  });
}

/**
 * How long a server counts the tokens of a name, milliseconds. Then it begins at its clock again, which is
 * far above: nobody takes a lock once a microsecond.
 */
const tokenTtlMs = 7 * 24 * 60 * 60_000;

const script = defineScript(`
  local function take(lock, count, holder, ms)
    if not redis.call('set', lock, holder, 'nx', 'px', ms) then
      if redis.call('get', lock) ~= holder then return 0 end
      redis.call('pexpire', lock, ms)
    end
    local token = redis.call('incr', count)
    if token > 1 then return token end
    local time = redis.call('time')
    token = time[1] * 1000000 + time[2]
    redis.call('set', count, string.format('%.0f', token), 'px', ${tokenTtlMs})
    return token
  end
  local answers = {}
  for at = 1, #KEYS / 2 do
    local lock, count = KEYS[2 * at - 1], KEYS[2 * at]
    local verb, holder, number = ARGV[3 * at - 2], ARGV[3 * at - 1], ARGV[3 * at]
    if verb == 'take' then
      answers[at] = take(lock, count, holder, number)
    elseif redis.call('get', lock) ~= holder then
      answers[at] = 0
    else
      answers[at] = 1
      if verb == 'release' then
        redis.call('del', lock)
      elseif verb == 'extend' then
        redis.call('pexpire', lock, number)
      elseif tonumber(redis.call('get', count) or '0') < tonumber(number) then
        redis.call('set', count, number, 'px', ${tokenTtlMs})
      end
    end
  end
  return answers`);
