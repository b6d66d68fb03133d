import { createExpiries, systemTimers } from "../resilience/resilience.ts";
import type { LimitStore, MaybePromise, StoreAnswer, StoreCall } from "./store.ts";

/** What happens to a limiter, for observers. */
export type LimitEvent =
  /** From now on each process decides alone, by the fallback of each policy. */
  | { readonly kind: "store_away"; readonly error: unknown }
  | { readonly kind: "store_back"; readonly awayMs: number };

/** What guards a store. */
export interface StoreGuardConfig {
  readonly store: LimitStore;
  /** Longest wait for an answer, milliseconds. */
  readonly waitMs: number;
  /** How long a store that is away is left alone before one call tries it again, milliseconds. */
  readonly pauseMs: number;
  readonly onEvent: (event: LimitEvent) => void;
}

/** The answers to one call; nothing when the store is away. */
export type GuardedAnswers = readonly StoreAnswer[] | undefined;

/** A store that never makes anybody wait for long. */
export interface StoreGuard {
  /** Asks the store, unless it is away. */
  ask(call: StoreCall): MaybePromise<GuardedAnswers>;
}

/** Thrown inside, and told to observers, when a store says nothing in time. */
export class LimitStoreTimeout extends Error {
  override readonly name = "LimitStoreTimeout";
  readonly code = "ERR_LIMIT_STORE_TIMEOUT";
  readonly retryable = true;
}

/**
 * Guards a store: who asks it waits `waitMs` at most. After a failure it counts as away, everybody is
 * told so at once, and one call every `pauseMs` tries whether it is back.
 */
export function createStoreGuard(config: StoreGuardConfig): StoreGuard {
  const { store, waitMs, pauseMs, onEvent } = config;
  let awaySinceMs: number | undefined;
  let tryAtMs = 0;
  const failed = (error: unknown): undefined => {
    const nowMs = performance.now();
    tryAtMs = nowMs + pauseMs;
    if (awaySinceMs !== undefined) return;
    awaySinceMs = nowMs;
    onEvent({ kind: "store_away", error });
  };
  const answered = (): void => {
    if (awaySinceMs === undefined) return;
    const awayMs = performance.now() - awaySinceMs;
    awaySinceMs = undefined;
    onEvent({ kind: "store_back", awayMs });
  };
  const expiries = createExpiries(systemTimers);
  const late = new LimitStoreTimeout(`no answer within ${waitMs} ms`);
  const settle = (asked: Promise<readonly (readonly StoreAnswer[])[]>): Promise<GuardedAnswers> =>
    new Promise((resolve) => {
      let isWaiting = true;
      /** @returns whether somebody waits still */
      const end = (): boolean => {
        expiry.remove();
        const wasWaiting = isWaiting;
        isWaiting = false;
        return wasWaiting;
      };
      const giveUp = () => end() && resolve(failed(late));
      // When this process itself was held up, the answer is there and only has not been read yet.
      const expiry = expiries.add(performance.now() + waitMs, () => setImmediate(giveUp));
      asked.then(
        ([answers]) => {
          if (!end()) return;
          answered();
          resolve(answers);
        },
        (error) => {
          if (end()) resolve(failed(error));
        },
      );
    });
  return {
    ask(call) {
      if (awaySinceMs !== undefined) {
        const nowMs = performance.now();
        if (nowMs < tryAtMs) return undefined;
        // This one tries; nobody else does while it waits.
        tryAtMs = nowMs + waitMs + pauseMs;
      }
      try {
        const asked = store.apply([call]);
        if (asked instanceof Promise) return settle(asked);
        answered();
        return asked[0];
      } catch (error) {
        return failed(error);
      }
    },
  };
}
