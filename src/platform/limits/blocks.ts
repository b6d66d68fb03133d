import { blockMaxOf, type LimitPolicy } from "./policy.ts";
import type { StoreAnswer } from "./store.ts";

/** Tokens that a process took ahead, to spend without asking. */
export interface Block {
  left: number;
  readonly granted: number;
  /** When the store gave it, milliseconds of the store's clock. */
  readonly takenAtMs: number;
  /** Until when it may be spent, milliseconds of `performance.now()`. */
  readonly endsAtMs: number;
  /** What the store had left then. */
  readonly remaining: number;
  /** When the whole limit is there again, milliseconds of `performance.now()`. */
  readonly resetAtMs: number;
}

/** A refusal that holds until its end. */
export interface Refusal {
  /** Tokens that were not there: who wants fewer may ask. */
  readonly cost: number;
  readonly remaining: number;
  /** Until when it is believed without asking, milliseconds of `performance.now()`, as those below. */
  readonly endsAtMs: number;
  readonly retryAtMs: number;
  readonly resetAtMs: number;
}

/** What a process remembers of a key. */
export interface KeyMemory {
  block: Block | undefined;
  refusal: Refusal | undefined;
  /** Tokens to ask for next, by what was spent of the last block. */
  size: number;
  /** Whether a block is on its way. */
  isAsking: boolean;
  /** Until it is there, and how many of its tokens nobody waits for yet. */
  coming: Promise<unknown> | undefined;
  room: number;
}

/** How much faster a block grows that did not last. */
const growth = 4;

/**
 * How many tokens to ask for next: four times as many as last time when they did not last, as many as
 * were spent when they did.
 */
export function nextSize(policy: LimitPolicy, { block, size }: KeyMemory, nowMs: number): number {
  const blockMax = blockMaxOf(policy);
  if (!block) return Math.min(size, blockMax);
  const spent = block.granted - block.left;
  const wanted = nowMs < block.endsAtMs ? Math.max(size, block.granted) * growth : spent;
  return Math.max(1, Math.min(wanted, blockMax));
}

/**
 * What is left of a grant when its first taker has been served.
 *
 * A block ends after its time, and in a fixed window before the window does, drift of the clocks
 * deducted: its tokens are not spent in the next one.
 * @param askedAtMs `performance.now()` before the store was asked: it answered no earlier
 */
export function blockOf(
  policy: LimitPolicy,
  answer: StoreAnswer,
  { askedAtMs, cost }: { readonly askedAtMs: number; readonly cost: number },
): Block {
  const { granted, resetMs, atMs, remaining } = answer;
  const leaseMs = policy.lease?.ms ?? 0;
  const inWindowMs = policy.algorithm === "fixed_window" ? resetMs - driftMs(resetMs) : leaseMs;
  return {
    left: granted - cost,
    granted,
    takenAtMs: atMs,
    endsAtMs: askedAtMs + Math.min(leaseMs, inWindowMs),
    remaining,
    resetAtMs: askedAtMs + resetMs,
  };
}

/** How much two clocks may drift apart in a time: a hundredth of it, and their resolution. */
function driftMs(timeMs: number): number {
  return timeMs / 100 + 2;
}

/**
 * How long to believe a refusal. With blocks, tokens may come back before their time: not longer than
 * a block lasts.
 */
export function refusalOf(
  policy: LimitPolicy,
  { remaining, resetMs, retryAfterMs }: StoreAnswer,
  { askedAtMs, cost }: { readonly askedAtMs: number; readonly cost: number },
): Refusal {
  const holdsMs = policy.lease ? Math.min(retryAfterMs, policy.lease.ms) : retryAfterMs;
  return {
    cost,
    remaining,
    endsAtMs: askedAtMs + holdsMs,
    retryAtMs: askedAtMs + retryAfterMs,
    resetAtMs: askedAtMs + resetMs,
  };
}
