import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import type { Context } from "../../kernel/context.ts";
import type { Random } from "../../kernel/random.ts";
import { type Failure, fail, ok, type Result } from "../../kernel/result.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { DbError } from "../../platform/db/errors.ts";
import { appendEvents } from "../../platform/events/events.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import { claimStep, transactOnce } from "../../platform/idempotency/unit-of-work.ts";
import { checkRequest, totalsOf } from "./allocate.ts";
import type {
  Allocation,
  Reservation,
  ReservationLine,
  ReservationRequest,
  ReserveFailure,
} from "./contract.ts";
import {
  decideReservations,
  repeatReservation,
  reserveStock,
  stockReserved,
  variantsOf,
} from "./reserve.ts";
import {
  insertReservations,
  type NewReservation,
  readReservations,
  readStock,
  takeIfFree,
  takeIfUnchanged,
} from "./store.ts";

/** What reserving by one of the strategies came to. */
export type ReserveOutcome = Result<Reservation, ReserveFailure | IdempotencyFailure>;

/** What the strategies need. */
export interface StrategyDeps {
  readonly db: Db;
  readonly random: Random;
}

/** Reserves one request in a transaction of its own. */
export type Reserve = (ctx: Context, request: ReservationRequest) => Promise<ReserveOutcome>;

/** Tries of the optimistic strategy before it gives up with `inventory.conflict`. */
export const optimisticAttemptsMax = 8;
const optimisticBackoff: Backoff = { baseMs: 1, maxMs: 50 };

/** The three classic strategies. */
export interface Strategies {
  /** One conditional update per line; who comes too late touches nothing. */
  readonly atomic: Reserve;
  /** Read, decide, write if the version is still the same; else again, at last a conflict. */
  readonly optimistic: Reserve;
  /** Lock the rows, then decide. */
  readonly pessimistic: Reserve;
}

/** Makes the strategies. */
export function createStrategies(deps: StrategyDeps): Strategies {
  const pessimistic: Reserve = (ctx, request) => {
    const run = openAttempts(deps.db, ctx);
    return run((tx) => lockAndReserve(tx, ctx, request));
  };
  return {
    pessimistic,
    async atomic(ctx, request) {
      const lines = checkRequest(request);
      if (!lines.ok) return lines;
      const run = openAttempts(deps.db, ctx);
      const first = await run((tx) =>
        reserveAtomically(tx, ctx, { request, lines: lines.value }),
      ).catch((error) => {
        // Someone made the same reservation in between; the locked path answers for it.
        if (isTaken(error)) return fail(unsettled);
        throw error;
      });
      if (first.ok || first.failure.code !== unsettled.code) return first as ReserveOutcome;
      return run((tx) => lockAndReserve(tx, ctx, request));
    },
    async optimistic(ctx, request) {
      const lines = checkRequest(request);
      if (!lines.ok) return lines;
      const run = openAttempts(deps.db, ctx);
      for (let attempt = 0; attempt < optimisticAttemptsMax; attempt++) {
        const outcome = await run((tx) =>
          reserveOptimistically(tx, ctx, { request, lines: lines.value }),
        ).catch((error) => {
          if (isTaken(error)) return fail(unsettled);
          throw error;
        });
        if (outcome.ok || outcome.failure.code !== unsettled.code) return outcome as ReserveOutcome;
        const waitMs = fullJitter(optimisticBackoff, attempt, deps.random);
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
      return fail({ code: "inventory.conflict", id: request.id });
    },
  };
}

/** Rolls an attempt back without deciding anything. */
const unsettled = { code: "unsettled" } as const;
type Unsettled = typeof unsettled;

function isTaken(error: unknown): boolean {
  return error instanceof DbError && error.sqlState === "23505";
}

type Attempt = <F extends Failure>(
  work: (tx: TenantTx) => Promise<Result<Reservation, F>>,
) => Promise<Result<Reservation, F | IdempotencyFailure>>;

/** Transactions that are one step of the caller's request, however many of them it takes. */
function openAttempts(db: Db, ctx: Context): Attempt {
  const options = { name: "inventory.reserve" };
  const claim = claimStep(ctx, options.name);
  return (work) =>
    claim
      ? transactOnce(db, ctx, { claim, options }, work)
      : db.transact(ctx.tenantId, work, options);
}

async function lockAndReserve(
  tx: TenantTx,
  ctx: Context,
  request: ReservationRequest,
): Promise<Result<Reservation, ReserveFailure>> {
  const [reserved] = await reserveStock(tx, ctx, [request]);
  return reserved ?? fail({ code: "inventory.conflict", id: request.id });
}

interface CheckedRequest {
  readonly request: ReservationRequest;
  readonly lines: readonly ReservationLine[];
}

async function reserveAtomically(
  tx: TenantTx,
  ctx: Context,
  { request, lines }: CheckedRequest,
): Promise<Result<Reservation, ReserveFailure | Unsettled>> {
  // Lines in one global order: two requests with crossed lines wait, they do not deadlock.
  const sorted = lines.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const [existing, ...taken] = await Promise.all([
    readReservations(tx, [request.id]),
    ...sorted.map((line) => takeIfFree(tx, request.id, line)),
  ]);
  const before = existing.get(request.id);
  if (before) {
    const untouched = taken.every((each) => each === undefined);
    return untouched ? repeatReservation(lines, before) : fail(unsettled);
  }
  const short = sorted.find((_, index) => taken[index] === undefined);
  if (short) return explainShortage(tx, short);
  const allocations = sorted.map(({ variantId, quantity }, index): Allocation => {
    const { locationId } = taken[index] as { locationId: Allocation["locationId"] };
    return { variantId, locationId, quantity };
  });
  const at = taken[0]?.at ?? new Date(0);
  return ok(keep(tx, ctx, { request, allocations: totalsOf(allocations), at }));
}

/** Out of stock when all locations together have too few; else a split or a race: to be locked. */
async function explainShortage(
  tx: TenantTx,
  line: ReservationLine,
): Promise<Result<never, ReserveFailure | Unsettled>> {
  const { variantId, quantity: requested } = line;
  const { cells } = await readStock(tx, [variantId]);
  const available = cells
    .filter((cell) => line.locationId === undefined || line.locationId === cell.locationId)
    .reduce((sum, cell) => sum + cell.onHand + cell.backorderLimit - cell.reserved, 0);
  if (available >= requested) return fail(unsettled);
  return fail({ code: "inventory.out_of_stock", variantId, requested, available });
}

async function reserveOptimistically(
  tx: TenantTx,
  ctx: Context,
  { request, lines }: CheckedRequest,
): Promise<Result<Reservation, ReserveFailure | Unsettled>> {
  const [existing, { cells, at }] = await Promise.all([
    readReservations(tx, [request.id]),
    readStock(tx, variantsOf([request])),
  ]);
  const before = existing.get(request.id);
  if (before) return repeatReservation(lines, before);
  const facts = { cells, existing, at: at ?? new Date(0) };
  const [result] = decideReservations([request], facts).results;
  if (!result?.ok) return result ?? fail(unsettled);
  const versions = new Map(cells.map((cell) => [cell.variantId + cell.locationId, cell.version]));
  const { allocations } = result.value;
  const counts = await Promise.all(
    totalsOf(allocations).map((total) =>
      takeIfUnchanged(tx, total, versions.get(total.variantId + total.locationId) ?? -1),
    ),
  );
  if (counts.some((count) => count !== 1)) return fail(unsettled);
  return ok(keep(tx, ctx, { request, allocations, at: facts.at }));
}

interface Kept {
  readonly request: ReservationRequest;
  readonly allocations: readonly Allocation[];
  readonly at: Date;
}

function keep(tx: TenantTx, ctx: Context, { request, allocations, at }: Kept): Reservation {
  const { id, reference, ttlMs } = request;
  const made: NewReservation = { id, reference, ttlMs, allocations };
  insertReservations(tx, [made]);
  appendEvents(tx, ctx, [stockReserved([made])]);
  return {
    id,
    state: "active",
    allocations,
    ...(reference === undefined ? {} : { reference }),
    ...(ttlMs === undefined ? {} : { expiresAt: new Date(at.getTime() + ttlMs) }),
  };
}

function keyOf({ variantId, locationId }: ReservationLine): string {
  return variantId + (locationId ?? "");
}
