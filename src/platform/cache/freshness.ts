import type { Random } from "../../kernel/random.ts";

/** How long values are good for, and when they are loaded again. */
export interface Lifetimes {
  /** How long a value is answered, milliseconds. */
  readonly ttlMs: number;
  /** How long "does not exist" is answered, milliseconds; 0: not remembered. */
  readonly missingTtlMs: number;
  /** From this age on a value is answered and loaded again behind the answer, milliseconds. */
  readonly freshMs: number;
  /** How long after its end a value is still answered when it cannot be loaded, milliseconds. */
  readonly staleIfErrorMs: number;
  /** Share of its life that a value loses at random, so that what was loaded together does not end together. */
  readonly jitter: number;
  /** How eagerly values are loaded before their end: 1 as in the paper, more is earlier, 0 never. */
  readonly earliness: number;
}

/** What is known of a value when it comes in. */
export interface Arrival {
  readonly isMissing: boolean;
  /** How long ago it was loaded, milliseconds. */
  readonly ageMs: number;
  /** How long loading it took, milliseconds. */
  readonly loadMs: number;
}

/** The course of a value's life, in milliseconds of one clock. */
export interface Span {
  /** Until when it is answered without a thought. */
  readonly quietUntilMs: number;
  /** From when on it is loaded again in the background. */
  readonly freshUntilMs: number;
  /** Until when it is answered. */
  readonly goodUntilMs: number;
  /** Until when it is kept for the case that loading fails. */
  readonly keptUntilMs: number;
}

/** Rarer early refreshes than e^-12 a read are not thrown dice for. */
const quietFactor = 12;

/** Lays out a value's life from now on. */
export function spanOf(
  lifetimes: Lifetimes,
  { isMissing, ageMs, loadMs }: Arrival,
  nowMs: number,
  random: Random,
): Span {
  const rest = 1 - lifetimes.jitter * random();
  const ttlMs = isMissing ? lifetimes.missingTtlMs : lifetimes.ttlMs;
  const goodUntilMs = nowMs + ttlMs * rest - ageMs;
  const freshUntilMs = nowMs + Math.min(lifetimes.freshMs, ttlMs) * rest - ageMs;
  return {
    quietUntilMs: freshUntilMs - loadMs * lifetimes.earliness * quietFactor,
    freshUntilMs,
    goodUntilMs,
    keptUntilMs: goodUntilMs + (isMissing ? 0 : lifetimes.staleIfErrorMs),
  };
}

/**
 * Whether this reader is the one who loads a value again before its end: the likelier the nearer the
 * end and the longer a load takes, so that of many readers about one does.
 *
 * @see https://www.vldb.org/pvldb/vol8/p886-vattani.pdf
 */
export function isRefreshedEarly(
  { freshUntilMs }: Pick<Span, "freshUntilMs">,
  aheadMs: number,
  nowMs: number,
  random: Random,
): boolean {
  return aheadMs > 0 && nowMs - aheadMs * Math.log(1 - random()) >= freshUntilMs;
}
