import type { TenantId } from "../../kernel/ids.ts";
import type { StockCell } from "./allocate.ts";
import type { Allocation, LocationId } from "./contract.ts";
import type { AttributedRequest } from "./reserve.ts";

/** Where a variant's units are believed to be. Only a guess: the database decides. */
interface Guess {
  readonly locationId: LocationId;
  /** Units believed to be free there. */
  free: number;
  /** Units of the plan being made. */
  planned: number;
  /** Until when it is believed, `performance.now()` milliseconds. */
  readonly untilMs: number;
}

/** What a process remembers of stock it has seen, to spare the next batch a look. */
export interface Guesses {
  /**
   * Plans a batch from memory alone, and counts its units as taken.
   *
   * @returns allocations per request, or undefined when a look is needed
   */
  plan(
    tenantId: TenantId,
    items: readonly AttributedRequest[],
  ): readonly (readonly Allocation[])[] | undefined;
  /** Remembers locked cells and what was just taken from them. */
  learn(tenantId: TenantId, cells: readonly StockCell[], taken: readonly Allocation[]): void;
  /** Forgets the variants of a batch whose plan was refused. */
  forget(tenantId: TenantId, items: readonly AttributedRequest[]): void;
}

/** A guess is looked up again after so long: a place that is asked earlier may have been restocked. */
const guessMs = 1_000;
const guessesMax = 50_000;

/** Makes an empty memory. */
export function createGuesses(): Guesses {
  const guesses = new Map<string, Guess>();
  return {
    plan(tenantId, items) {
      const now = performance.now();
      const touched: Guess[] = [];
      const plans: (readonly Allocation[])[] = [];
      let enough = true;
      for (const { request } of items) {
        const plan: Allocation[] = [];
        for (const { variantId, quantity, locationId } of request.lines) {
          const guess = guesses.get(`${tenantId}/${variantId}`);
          if (!guess || guess.untilMs <= now || locationId !== undefined) {
            enough = false;
            break;
          }
          if (guess.planned === 0) touched.push(guess);
          guess.planned += quantity;
          plan.push({ variantId, locationId: guess.locationId, quantity });
        }
        if (!enough) break;
        plans.push(plan);
      }
      enough &&= touched.every((guess) => guess.planned <= guess.free);
      for (const guess of touched) {
        // Counted before it is known, so that a batch beside this one does not plan the same units.
        if (enough) guess.free -= guess.planned;
        guess.planned = 0;
      }
      return enough ? plans : undefined;
    },
    learn(tenantId, cells, taken) {
      if (guesses.size > guessesMax) guesses.clear();
      const gone = new Map<string, number>();
      for (const { variantId, locationId, quantity } of taken) {
        const key = variantId + locationId;
        gone.set(key, (gone.get(key) ?? 0) + quantity);
      }
      const untilMs = performance.now() + guessMs;
      const best = new Map<string, { readonly cell: StockCell; readonly free: number }>();
      for (const cell of cells) {
        const free =
          cell.onHand - cell.reserved - (gone.get(cell.variantId + cell.locationId) ?? 0);
        const key = `${tenantId}/${cell.variantId}`;
        const before = best.get(key);
        if (before && (free <= 0 || (before.free > 0 && isAskedEarlier(before.cell, cell))))
          continue;
        best.set(key, { cell, free });
      }
      for (const [key, { cell, free }] of best) {
        guesses.set(key, { locationId: cell.locationId, free, planned: 0, untilMs });
      }
    },
    forget(tenantId, items) {
      for (const { request } of items) {
        for (const { variantId } of request.lines) guesses.delete(`${tenantId}/${variantId}`);
      }
    },
  };
}

function isAskedEarlier(a: StockCell, b: StockCell): boolean {
  return a.priority < b.priority || (a.priority === b.priority && a.locationId < b.locationId);
}
