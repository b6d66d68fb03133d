import type { Ask } from "./algorithm.ts";

/** One question about one key. */
export interface StoreAsk extends Ask {
  /** `extend` makes a place of `concurrency` last. */
  readonly verb: "take" | "extend" | "give_back";
  /** What is counted, 1 to 200 characters. */
  readonly key: string;
}

/** Asks that are granted together or not at all, each about another key; 1 to 8. */
export type StoreCall = readonly StoreAsk[];

/** What a store says to one ask. */
export interface StoreAnswer {
  /** Whether this key had enough, whatever the others of its call had. */
  readonly isGranted: boolean;
  /** Tokens taken; 0 when another ask of the call was refused. */
  readonly granted: number;
  readonly remaining: number;
  /** Until the whole limit is there again, milliseconds. */
  readonly resetMs: number;
  /** After a refusal: until there is enough, milliseconds. */
  readonly retryAfterMs: number;
  /** When, milliseconds of the store's clock. */
  readonly atMs: number;
}

/** A value, or the promise of one: what answers at once costs no turn of the event loop. */
export type MaybePromise<Value> = Value | Promise<Value>;

/**
 * Where limits are counted, by the store's clock. Every backend passes the suite in
 * `limit-store.fixture.ts`.
 */
export interface LimitStore {
  /**
   * Works on calls one after the other, each in one step that nobody comes between.
   *
   * @returns the answers of each call, in order
   * @throws whatever the backend throws when it is away: then it is unknown whether tokens were taken
   */
  apply(calls: readonly StoreCall[]): MaybePromise<readonly (readonly StoreAnswer[])[]>;
  /**
   * Works on one ask at once: only of stores in this process. There nothing is gained by taking ahead
   * or by remembering.
   */
  applyNow?(ask: StoreAsk): StoreAnswer;
}
