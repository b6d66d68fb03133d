import { assert } from "../../kernel/assert.ts";

/** How a limit counts. `docs/concepts/limits.md` draws what each of them admits. */
export type LimitAlgorithm =
  /** So many in a window that begins with the first; at a window's edge up to twice as many. */
  | "fixed_window"
  /** Never more than so many in any window: every token is remembered. */
  | "sliding_log"
  /** Nearly that, by two counters: the last window counts as far as it still overlaps. */
  | "sliding_counter"
  /** A bucket that refills evenly: bursts up to its size, then the steady rate. */
  | "token_bucket"
  /** So many at once: each has a place until it gives it back, or `windowMs` have passed. */
  | "concurrency";

/** What happens while the store is away: a tenth of the limit in each process, or all of it. */
export type LimitFallback = "strict" | "open";

/** How a process takes tokens ahead, to spend them without asking. */
export interface LeaseTerms {
  /** Largest part of the limit in one block, above 0 and at most 0.5. */
  readonly share: number;
  /** Longest a block may be spent, milliseconds, 50 to 60,000 and at most `windowMs`. */
  readonly ms: number;
}

/** A limit, as plain data. Keep the object: what a process remembers of a policy hangs on its name. */
export interface LimitPolicy {
  /** Name in keys and headers: a letter, then up to 49 of `a-z 0-9 _`. */
  readonly name: string;
  readonly algorithm: LimitAlgorithm;
  /** Tokens, 1 to 10^9; for `sliding_log` and `concurrency` 1 to 1,000, because each is remembered. */
  readonly limit: number;
  /** Whole milliseconds, 100 to 31 days. For `concurrency`, how long a place lasts unless renewed. */
  readonly windowMs: number;
  /** Size of a token bucket, 1 to 10^9; default: the limit. */
  readonly burst?: number;
  /** Absent: every token is asked for, and the limit is exact. Not for `concurrency`. */
  readonly lease?: LeaseTerms;
  /** Default: `strict`. */
  readonly fallback?: LimitFallback;
}

/** Bounds of policies and of what is asked of them. */
export const limitBounds = {
  limitMax: 1_000_000_000,
  /** Largest limit of the algorithms that remember every token. */
  rememberedMax: 1_000,
  windowMinMs: 100,
  windowMaxMs: 31 * 24 * 60 * 60_000,
  keyCharsMax: 200,
} as const;

/** How many tokens a key can have at once: the size of the bucket, or the limit. */
export function capacityOf({ algorithm, limit, burst }: LimitPolicy): number {
  return algorithm === "token_bucket" ? (burst ?? limit) : limit;
}

/** Most tokens a process takes ahead: 1 is none, and no slack. */
export function blockMaxOf(policy: LimitPolicy): number {
  if (!policy.lease) return 1;
  const base = Math.min(policy.limit, capacityOf(policy));
  return Math.max(1, Math.floor(base * policy.lease.share));
}

/**
 * How many tokens beyond its limit a policy may admit in any window, over so many processes: what
 * each had taken ahead before the window and spends in it. None for fixed windows, whose blocks end
 * with their window, and none without leases.
 */
export function slackOf(policy: LimitPolicy, processes: number): number {
  if (!policy.lease || policy.algorithm === "fixed_window") return 0;
  const blockMax = blockMaxOf(policy);
  return blockMax === 1 ? 0 : blockMax * processes;
}

/** Part of a limit that each process admits while the store is away, for policies that are strict. */
export const strictShare = 0.1;

/** The policy of one process while the store is away. */
export function fallbackOf(policy: LimitPolicy): LimitPolicy {
  if (policy.fallback === "open") return policy;
  const part = (tokens: number) => Math.max(1, Math.floor(tokens * strictShare));
  const { limit, burst } = policy;
  return { ...policy, limit: part(limit), ...(burst ? { burst: part(burst) } : {}) };
}

const algorithms: ReadonlySet<string> = new Set<LimitAlgorithm>([
  "fixed_window",
  "sliding_log",
  "sliding_counter",
  "token_bucket",
  "concurrency",
]);

/** @throws AssertionError when a policy is out of bounds */
export function checkPolicy(policy: LimitPolicy): void {
  const { name, algorithm, limit, windowMs, burst, lease } = policy;
  const { limitMax, rememberedMax, windowMinMs, windowMaxMs } = limitBounds;
  assert(/^[a-z][a-z0-9_]{0,49}$/.test(name), `a policy's name is plain, not "${name}"`);
  assert(algorithms.has(algorithm), `${name}: ${algorithm} is an algorithm`);
  const remembers = algorithm === "sliding_log" || algorithm === "concurrency";
  const most = remembers ? rememberedMax : limitMax;
  assert(isWhole(limit, 1, most), `${name}: its limit is 1 to ${most}`);
  assert(isWhole(windowMs, windowMinMs, windowMaxMs), `${name}: its window is in bounds`);
  assert(burst === undefined || isWhole(burst, 1, limitMax), `${name}: its burst is in bounds`);
  // The arithmetic is of whole numbers: tokens times milliseconds stay exact.
  const product = Math.max(limit, burst ?? 0) * windowMs;
  assert(Number.isSafeInteger(product), `${name}: limit times window stays below 2^53`);
  if (!lease) return;
  assert(algorithm !== "concurrency", `${name}: places are not leased ahead`);
  assert(lease.share > 0 && lease.share <= 0.5, `${name}: a block is at most half of the limit`);
  assert(isWhole(lease.ms, 50, Math.min(60_000, windowMs)), `${name}: a block's time is in bounds`);
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
