import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import {
  type BatchReport,
  type Coalescer,
  createCoalescer,
} from "../../platform/coalescer/coalescer.ts";
import type { Db } from "../../platform/db/db.ts";
import { DbError, splitsOnDataErrors } from "../../platform/db/errors.ts";
import { writeEvents } from "../../platform/events/events.ts";
import type { VariantId } from "../catalog/contract.ts";
import { checkRequest, type StockCell } from "./allocate.ts";
import type { Allocation, LocationId, ReservationRequest } from "./contract.ts";
import { type AttributedRequest, type Reserved, reserveLocked, stockReserved } from "./reserve.ts";
import { insertReservations, take } from "./store.ts";
import type { Reserve } from "./strategies.ts";

/** What the flash-sale mode needs. */
export interface FlashDeps {
  readonly db: Db;
  /** Answers requests that cannot share a batch: those with an idempotency key. */
  readonly single: Reserve;
  readonly onBatch?: (report: BatchReport) => void;
}

/** Where a hot variant's units are believed to be. Only a guess: the database decides. */
interface Guess {
  readonly locationId: LocationId;
  /** Units believed to be free there. */
  free: number;
  /** Until when it is believed, `performance.now()` milliseconds. */
  readonly untilMs: number;
}

/** A guess is looked up again after so long: another location may have been restocked. */
const guessMs = 1_000;
const guessesMax = 10_000;

/**
 * Makes the flash-sale mode: callers who want the same variant at the same time share a transaction,
 * each with a reservation and a result of its own.
 *
 * While stock is plentiful a batch is one round trip: insert the rows and events, add the batch's
 * units to the hot row last, commit. The row is locked only while the commit is written, so that the
 * next batch does its inserts meanwhile. When the guess is wrong the table's check fails the
 * transaction, and the batch is decided again under the lock, request by request in arrival order.
 */
export function createFlash(deps: FlashDeps): Reserve {
  const guesses = new Map<string, Guess>();
  const coalescer: Coalescer<AttributedRequest, Reserved> = createCoalescer({
    name: "inventory.flash",
    batchMax: 250,
    inFlightMax: 2,
    waitingMax: 20_000,
    isSplittable: splitsOnDataErrors,
    run: (key, items) => runBatch(deps, guesses, { key, items }),
    ...(deps.onBatch ? { onBatch: deps.onBatch } : {}),
  });
  return async (ctx: Context, request: ReservationRequest) => {
    if (ctx.idempotency) return deps.single(ctx, request);
    const lines = checkRequest(request);
    if (!lines.ok) return lines;
    const [line] = lines.value;
    const alone = lines.value.length === 1 && line && line.locationId === undefined;
    const key = alone ? `${ctx.tenantId}/${line.variantId}` : `${ctx.tenantId}/`;
    return coalescer.submit(key, { origin: ctx, request: { ...request, lines: lines.value } });
  };
}

interface Batch {
  /** `<tenant>/<variant>`, or `<tenant>/` for requests of several variants. */
  readonly key: string;
  readonly items: readonly AttributedRequest[];
}

async function runBatch(
  deps: FlashDeps,
  guesses: Map<string, Guess>,
  batch: Batch,
): Promise<readonly Reserved[]> {
  const guess = guesses.get(batch.key);
  const units = unitsOf(batch);
  if (guess && guess.untilMs > performance.now() && guess.free >= units) {
    // Counted before it is known, so that a batch beside this one does not count on the same units.
    guess.free -= units;
    const reserved = await reserveUnseen(deps, batch, guess.locationId);
    if (reserved) return reserved;
    guesses.delete(batch.key);
  }
  return reserveSeen(deps, guesses, batch);
}

function unitsOf({ items }: Batch): number {
  let units = 0;
  for (const { request } of items) units += request.lines[0]?.quantity ?? 0;
  return units;
}

function splitKey(key: string): readonly [TenantId, VariantId] {
  const [tenantId = "", variantId = ""] = key.split("/");
  return [tenantId as TenantId, variantId as VariantId];
}

/** One round trip. @returns undefined when the guess was wrong or an id was used before */
async function reserveUnseen(
  { db }: FlashDeps,
  batch: Batch,
  locationId: LocationId,
): Promise<readonly Reserved[] | undefined> {
  const [tenantId, variantId] = splitKey(batch.key);
  const made = batch.items.map(({ origin, request }) => {
    const quantity = request.lines[0]?.quantity ?? 0;
    const allocations: readonly Allocation[] = [{ variantId, locationId, quantity }];
    const { id, reference, ttlMs } = request;
    return { origin, reservation: { id, reference, ttlMs, allocations } };
  });
  let taken: Promise<Date> | undefined;
  try {
    await db.commit(
      tenantId,
      async (tx) => {
        insertReservations(
          tx,
          made.map((each) => each.reservation),
        );
        writeEvents(
          tx,
          made.map(({ origin, reservation }) => ({ origin, event: stockReserved(reservation) })),
        );
        taken = take(tx, { variantId, locationId, quantity: unitsOf(batch) });
        taken.catch(() => {});
      },
      { name: "inventory.flash" },
    );
  } catch (error) {
    if (error instanceof DbError && error.code === "ERR_DB_CONSTRAINT") return undefined;
    throw error;
  }
  const at = await taken;
  return made.map(({ reservation: { id, reference, ttlMs, allocations } }) =>
    ok({
      id,
      state: "active",
      allocations,
      ...(reference === undefined ? {} : { reference }),
      ...(ttlMs === undefined || !at ? {} : { expiresAt: new Date(at.getTime() + ttlMs) }),
    }),
  );
}

/** Two round trips: lock, decide in arrival order, write. */
async function reserveSeen(
  { db }: FlashDeps,
  guesses: Map<string, Guess>,
  batch: Batch,
): Promise<readonly Reserved[]> {
  const [tenantId, variantId] = splitKey(batch.key);
  const decision = await db.commit(tenantId, (tx) => reserveLocked(tx, batch.items), {
    name: "inventory.flash",
  });
  if (variantId !== "") {
    const guess = guessFrom(
      decision.cells,
      decision.made.flatMap((each) => each.allocations),
    );
    if (guesses.size >= guessesMax) guesses.clear();
    if (guess) guesses.set(batch.key, guess);
    else guesses.delete(batch.key);
  }
  return decision.results;
}

function guessFrom(
  cells: readonly StockCell[],
  allocations: readonly Allocation[],
): Guess | undefined {
  const free = new Map(cells.map((cell) => [cell.locationId, cell.onHand - cell.reserved]));
  for (const { locationId, quantity } of allocations) {
    free.set(locationId, (free.get(locationId) ?? 0) - quantity);
  }
  const best = cells
    .toSorted((a, b) => a.priority - b.priority || (a.locationId < b.locationId ? -1 : 1))
    .find((cell) => (free.get(cell.locationId) ?? 0) > 0);
  if (!best) return undefined;
  const untilMs = performance.now() + guessMs;
  return { locationId: best.locationId, free: free.get(best.locationId) ?? 0, untilMs };
}
