import type { BreakerState, ResilienceEvent } from "./events.ts";

/** What happened to the calls of one dependency since the process began. */
export interface DependencyFigures {
  /** The policy's. */
  readonly name: string;
  readonly calls: number;
  readonly retries: number;
  /** Retries that the budget or the deadline forbade. */
  readonly retriesWithheld: number;
  readonly timeouts: number;
  /** Refused by an open breaker or a full bulkhead. */
  readonly rejected: number;
  readonly hedges: number;
  readonly hedgesWon: number;
  readonly fallbacks: number;
  /** The worst, where there are several. */
  readonly breaker: BreakerState;
}

/** Counts what happens. */
export interface Tally {
  call(): void;
  readonly onEvent: (event: ResilienceEvent) => void;
  figures(breaker: BreakerState): DependencyFigures;
}

type Counted = Exclude<ResilienceEvent["kind"], "breaker"> | "call";

/** Makes a tally of nothing. */
export function createTally(name: string): Tally {
  const counts: Record<Counted, number> = {
    call: 0,
    retry: 0,
    retry_withheld: 0,
    timeout: 0,
    rejected: 0,
    hedge: 0,
    hedge_won: 0,
    fallback: 0,
  };
  return {
    call: () => void counts.call++,
    onEvent({ kind }) {
      if (kind !== "breaker") counts[kind]++;
    },
    figures: (breaker) => ({
      name,
      calls: counts.call,
      retries: counts.retry,
      retriesWithheld: counts.retry_withheld,
      timeouts: counts.timeout,
      rejected: counts.rejected,
      hedges: counts.hedge,
      hedgesWon: counts.hedge_won,
      fallbacks: counts.fallback,
      breaker,
    }),
  };
}
