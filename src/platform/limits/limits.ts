import { assert } from "../../kernel/assert.ts";
import type { Random } from "../../kernel/random.ts";
import { type Block, blockOf, type KeyMemory, nextSize, refusalOf } from "./blocks.ts";
import { createKeyMemories, type KeyMemories } from "./key-memory.ts";
import { createMemoryLimitStore, type MemoryLimitStore } from "./memory-store.ts";
import { createPlaces, type Entrance } from "./places.ts";
import { capacityOf, checkPolicy, fallbackOf, type LimitPolicy, limitBounds } from "./policy.ts";
import type { LimitStore, MaybePromise, StoreAnswer, StoreAsk } from "./store.ts";
import {
  createStoreGuard,
  type GuardedAnswers,
  type LimitEvent,
  type StoreGuard,
} from "./store-guard.ts";
import type { Verdict, VerdictSource } from "./verdict.ts";

export { limitHeaders, retryAfterSeconds } from "./headers.ts";
export { createMemoryLimitStore } from "./memory-store.ts";
export type { Entrance, Place } from "./places.ts";
export {
  blockMaxOf,
  type LeaseTerms,
  type LimitAlgorithm,
  type LimitFallback,
  type LimitPolicy,
  limitBounds,
  slackOf,
  strictShare,
} from "./policy.ts";
export {
  createPostgresLimitStore,
  deleteOldLimits,
  type PostgresLimitStoreConfig,
} from "./postgres-store.ts";
export { createRedisLimitStore, type RedisLimitStoreConfig } from "./redis-store.ts";
export type { LimitStore, MaybePromise, StoreAnswer, StoreAsk, StoreCall } from "./store.ts";
export { type LimitEvent, LimitStoreTimeout } from "./store-guard.ts";
export { areAllowed, type Verdict, type VerdictSource } from "./verdict.ts";

/** What a limiter works with; everything but the store has a default. */
export interface LimiterConfig {
  readonly store: LimitStore;
  /** Longest wait for the store, milliseconds, 10 to 5,000; default 100. Then the fallback decides. */
  readonly waitMs?: number;
  /** How long a store that is away is left alone before one call tries it, milliseconds; default 1,000. */
  readonly pauseMs?: number;
  /** Keys remembered per policy; default 50,000. The oldest one is forgotten for a new one. */
  readonly keysMax?: number;
  readonly onEvent?: (event: LimitEvent) => void;
  readonly random?: Random;
}

/** Times of a limiter that names none, milliseconds. */
export const limiterDefaults = { waitMs: 100, pauseMs: 1_000 } as const;

/** Tokens of one key that are asked for together with others. */
export interface LimitAsk {
  readonly policy: LimitPolicy;
  /** What is counted, 1 to 200 characters. */
  readonly key: string;
  /** Tokens, 1 to the limit; default 1. */
  readonly cost?: number;
}

/** Counts, and refuses what is too much. */
export interface Limiter {
  /**
   * Takes tokens of a key. Answers at once when it can: tokens taken ahead, a refusal that is known,
   * a store in this process, a store that is away.
   */
  take(policy: LimitPolicy, key: string, cost?: number): MaybePromise<Verdict>;
  /**
   * Takes tokens of several keys together, in one question to the store: of all, or of none.
   *
   * @param asks 1 to 8, each about another key
   * @returns a verdict for each, in order, when all are allowed; else those that refused
   */
  takeAll(asks: readonly LimitAsk[]): MaybePromise<readonly Verdict[]>;
  /** Takes a place of a `concurrency` policy; it is renewed until it is released. */
  enter(policy: LimitPolicy, key: string): Promise<Entrance>;
  /** Gives back what was taken ahead, and all places. May be called twice. */
  stop(): Promise<void>;
}

/** Limits that may be asked together. */
const asksMax = 8;

/** Makes a limiter over a store. */
export function createLimiter(config: LimiterConfig): Limiter {
  const { store, keysMax = 50_000, random = Math.random } = config;
  const { waitMs, pauseMs, onEvent = () => {} } = { ...limiterDefaults, ...config };
  assert(waitMs >= 10 && waitMs <= 5_000, "a limiter waits for 10 to 5,000 ms");
  const guard = createStoreGuard({ store, waitMs, pauseMs, onEvent });
  const fallback = createMemoryLimitStore();
  const places = createPlaces({ guard, fallback, random });
  const memories = createKeyMemories(guard, keysMax);
  const isLocal = store.applyNow !== undefined;
  const takeAll: Parts["takeAll"] = (asks, mayWait) => {
    assert(asks.length > 0 && asks.length <= asksMax, "1 to 8 limits are asked together");
    const nowMs = performance.now();
    const blocks = asks.map((ask) => blockFor(memories, ask, nowMs));
    const verdicts = (): readonly (Verdict | undefined)[] => spend(asks, blocks, nowMs);
    if (!blocks.includes(undefined)) return verdicts() as readonly Verdict[];
    const refused = asks.flatMap((ask, at) =>
      blocks[at] ? [] : (knownRefusal(memories, ask, nowMs) ?? []),
    );
    if (refused.length > 0) return refused;
    const round: Round = { asks, verdicts: verdicts(), blocks, nowMs };
    return (mayWait ? waitForBlock(parts, round) : undefined) ?? askStore(parts, round);
  };
  const parts: Parts = { guard, fallback, memories, isLocal, takeAll };

  return {
    take(policy, key, cost = 1) {
      if (store.applyNow) {
        memories.check(policy);
        const ask = toStoreAsk({ policy, key, cost });
        return verdictOf(policy, store.applyNow(ask), "store");
      }
      const ask = { policy, key, cost };
      if (!policy.lease) return takeAlone(parts, ask);
      const taken = takeAll([ask], true);
      return taken instanceof Promise ? taken.then(first) : first(taken);
    },
    takeAll: (asks) => takeAll(asks, true),
    enter(policy, key) {
      checkPolicy(policy);
      checkKey(key);
      assert(policy.algorithm === "concurrency", `${policy.name}: places are of concurrency`);
      return places.enter(policy, key);
    },
    async stop() {
      await Promise.all([memories.stop(), places.stop()]);
    },
  };
}

const first = ([verdict]: readonly Verdict[]): Verdict => verdict as Verdict;

interface Parts {
  readonly guard: StoreGuard;
  readonly fallback: MemoryLimitStore;
  readonly memories: KeyMemories;
  readonly isLocal: boolean;
  /** @param mayWait whether a block that is on its way is waited for */
  readonly takeAll: (
    asks: readonly LimitAsk[],
    mayWait: boolean,
  ) => MaybePromise<readonly Verdict[]>;
}

/** Limits asked together, with the verdicts of those that were answered from blocks. */
interface Round {
  readonly asks: readonly LimitAsk[];
  readonly verdicts: readonly (Verdict | undefined)[];
  /** Where from, for those that were. */
  readonly blocks: readonly (Block | undefined)[];
  readonly nowMs: number;
}

/** Takes from one limit of which nothing is taken ahead: what `takeAll` does, without its bookkeeping. */
function takeAlone(parts: Parts, ask: LimitAsk): MaybePromise<Verdict> {
  const nowMs = performance.now();
  const refusal = knownRefusal(parts.memories, ask, nowMs);
  if (refusal) return refusal;
  const settle = (answers: GuardedAnswers): Verdict => {
    const [answer] = answers ?? [];
    if (!answer) return first(decideHere(parts, [ask]));
    learn(parts, ask, answer, { askedAtMs: nowMs, isBlock: false });
    return verdictOf(ask.policy, answer, "store");
  };
  const answers = parts.guard.ask([toStoreAsk(ask)]);
  return answers instanceof Promise ? answers.then(settle) : settle(answers);
}

/** An ask that only the store can answer. */
interface Missing {
  readonly ask: LimitAsk;
  readonly stored: StoreAsk;
  /** Waits for a block: nobody else asks for one meanwhile. */
  readonly memory: KeyMemory | undefined;
}

/** Asks the store for what no block had: all together or none. */
function askStore(parts: Parts, round: Round): MaybePromise<readonly Verdict[]> {
  const missing = round.asks
    .filter((_, at) => round.verdicts[at] === undefined)
    .map((ask) => toMissing(parts, ask, round.nowMs));
  const answers = parts.guard.ask(missing.map(({ stored }) => stored));
  if (!(answers instanceof Promise)) return conclude(parts, round, missing, answers);
  const concluded = answers.then((settled) => conclude(parts, round, missing, settled));
  for (const { memory } of missing) if (memory) memory.coming = concluded;
  return concluded;
}

/** Waits, once, for a block that somebody else has asked for and that will do for this one too. */
function waitForBlock(
  { memories, takeAll }: Parts,
  round: Round,
): Promise<readonly Verdict[]> | undefined {
  for (const [at, { policy, key, cost = 1 }] of round.asks.entries()) {
    const memory = round.verdicts[at] ? undefined : memories.find(policy, key);
    if (!memory?.coming || memory.room < cost) continue;
    memory.room -= cost;
    putBack(round);
    return memory.coming.then(() => takeAll(round.asks, false));
  }
  return undefined;
}

/** Nothing is taken from any: what was spent of blocks goes back into them. */
function putBack({ asks, blocks }: Round): void {
  for (const [at, block] of blocks.entries()) if (block) block.left += asks[at]?.cost ?? 1;
}

function toMissing({ memories, isLocal }: Parts, ask: LimitAsk, nowMs: number): Missing {
  const stored = toStoreAsk(ask);
  const { policy, key } = ask;
  if (!policy.lease || isLocal) return { ask, stored, memory: undefined };
  const memory = memories.remember(policy, key);
  // Whom a block that is on its way will not do for asks for as much as it needs: no line forms.
  if (memory.isAsking) return { ask, stored, memory: undefined };
  memory.isAsking = true;
  const upTo = Math.max(stored.cost, nextSize(policy, memory, nowMs));
  memory.room = upTo - stored.cost;
  return { ask, stored: { ...stored, upTo }, memory };
}

function conclude(
  parts: Parts,
  round: Round,
  missing: readonly Missing[],
  answers: GuardedAnswers,
): readonly Verdict[] {
  for (const { memory } of missing) {
    if (!memory) continue;
    memory.isAsking = false;
    memory.coming = undefined;
  }
  const areAll = answers?.every(({ isGranted }) => isGranted) ?? false;
  if (!areAll) putBack(round);
  if (!answers) return decideHere(parts, round.asks);
  const verdicts = answers.map((answer, at) => {
    const { ask, memory, stored } = missing[at] as Missing;
    learn(parts, ask, answer, { askedAtMs: round.nowMs, isBlock: memory !== undefined && areAll });
    const ahead = areAll ? answer.granted - stored.cost : 0;
    return verdictOf(ask.policy, answer, "store", ahead);
  });
  if (!areAll) return takeHere(parts, round) ?? verdicts.filter(({ isAllowed }) => !isAllowed);
  const given = verdicts.values();
  return round.verdicts.map((verdict) => verdict ?? (given.next().value as Verdict));
}

/**
 * Once more from blocks, after the store has refused: one may have come meanwhile, and what this process
 * took ahead is what the store has not.
 */
function takeHere({ memories }: Parts, { asks }: Round): readonly Verdict[] | undefined {
  const nowMs = performance.now();
  const blocks = asks.map((ask) => blockFor(memories, ask, nowMs));
  if (blocks.includes(undefined)) return undefined;
  return spend(asks, blocks, nowMs) as readonly Verdict[];
}

/** Remembers what an answer says about the next ask. */
function learn(
  { memories, isLocal }: Parts,
  { policy, key, cost = 1 }: LimitAsk,
  answer: StoreAnswer,
  { askedAtMs, isBlock }: { readonly askedAtMs: number; readonly isBlock: boolean },
): void {
  const taken = { askedAtMs, cost };
  if (isBlock) memories.replaceBlock(policy, key, blockOf(policy, answer, taken));
  if (answer.isGranted || isLocal || policy.algorithm === "concurrency") return;
  memories.remember(policy, key).refusal = refusalOf(policy, answer, taken);
}

/** What this process alone decides, while the store is away. */
function decideHere({ fallback }: Parts, asks: readonly LimitAsk[]): readonly Verdict[] {
  const here = asks.map(({ policy, key, cost = 1 }) => {
    const own = fallbackOf(policy);
    // Whoever asks for more than a process has alone gets all of it now and then, not never.
    return toStoreAsk({ policy: own, key, cost: Math.min(cost, capacityOf(own)) });
  });
  const [answers = []] = fallback.apply([here]);
  const verdicts = answers.map((answer, at) => {
    const { policy } = asks[at] as LimitAsk;
    const { limit } = here[at]?.policy ?? policy;
    return { ...verdictOf(policy, answer, "fallback"), limit };
  });
  const refused = verdicts.filter(({ isAllowed }) => !isAllowed);
  return refused.length > 0 ? refused : verdicts;
}

function checkKey(key: string): void {
  const { keyCharsMax } = limitBounds;
  assert(key.length > 0 && key.length <= keyCharsMax, "a key is neither empty nor too long");
}

function checkCost(policy: LimitPolicy, cost: number): void {
  const isThere = Number.isInteger(cost) && cost > 0 && cost <= capacityOf(policy);
  assert(isThere, "tokens are a whole number above 0, and as many as can be there at once");
}

function toStoreAsk({ policy, key, cost = 1 }: LimitAsk): StoreAsk {
  checkKey(key);
  checkCost(policy, cost);
  return { verb: "take", policy, key, cost, upTo: cost, ticket: 0 };
}

/** The block that has enough for an ask. */
function blockFor(memories: KeyMemories, ask: LimitAsk, nowMs: number): Block | undefined {
  const { policy, key, cost = 1 } = ask;
  checkCost(policy, cost);
  const block = memories.find(policy, key)?.block;
  return block && block.left >= cost && nowMs < block.endsAtMs ? block : undefined;
}

/** Takes from the blocks that there are. */
function spend(
  asks: readonly LimitAsk[],
  blocks: readonly (Block | undefined)[],
  nowMs: number,
): readonly (Verdict | undefined)[] {
  return asks.map(({ policy, cost = 1 }, at) => {
    const block = blocks[at];
    if (!block) return undefined;
    block.left -= cost;
    return {
      policy,
      isAllowed: true,
      limit: policy.limit,
      remaining: block.remaining + block.left,
      resetMs: Math.max(0, block.resetAtMs - nowMs),
      retryAfterMs: 0,
      source: "lease",
    };
  });
}

function knownRefusal(
  memories: KeyMemories,
  { policy, key, cost = 1 }: LimitAsk,
  nowMs: number,
): Verdict | undefined {
  const refusal = memories.find(policy, key)?.refusal;
  if (!refusal || cost < refusal.cost || nowMs >= refusal.endsAtMs) return undefined;
  return {
    policy,
    isAllowed: false,
    limit: policy.limit,
    remaining: refusal.remaining,
    resetMs: Math.max(0, refusal.resetAtMs - nowMs),
    retryAfterMs: Math.max(0, refusal.retryAtMs - nowMs),
    source: "store",
  };
}

/** @param ahead tokens that were taken ahead and are there still */
function verdictOf(
  policy: LimitPolicy,
  { isGranted, remaining, resetMs, retryAfterMs }: StoreAnswer,
  source: VerdictSource,
  ahead = 0,
): Verdict {
  return {
    policy,
    isAllowed: isGranted,
    limit: policy.limit,
    remaining: remaining + ahead,
    resetMs,
    retryAfterMs,
    source,
  };
}
