import { present } from "../../kernel/assert.ts";
import type { IdempotencyClaim } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import {
  type BatchReport,
  type Coalescer,
  createCoalescer,
} from "../../platform/coalescer/coalescer.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { DbError, splitsOnDataErrors } from "../../platform/db/errors.ts";
import { appendEvents } from "../../platform/events/events.ts";
import { type ClaimVerdict, claimKeys, storeOutcomes } from "../../platform/idempotency/keys.ts";
import { claimStep, inFlight, keyReused } from "../../platform/idempotency/unit-of-work.ts";
import { checkRequest, totalsOf } from "./allocate.ts";
import type { Allocation, Reservation } from "./contract.ts";
import { createGuesses, type Guesses } from "./guesses.ts";
import {
  type AttributedRequest,
  decideReservations,
  loadFacts,
  type Reserved,
  stockReserved,
  writeReservations,
} from "./reserve.ts";
import { insertReservations, type NewReservation, take } from "./store.ts";
import type { Reserve, ReserveOutcome } from "./strategies.ts";

/** What the flash-sale mode needs. */
export interface FlashDeps {
  readonly db: Db;
  readonly onBatch?: (report: BatchReport) => void;
}

/**
 * Makes the flash-sale mode: concurrent callers of a tenant share a transaction, each with a
 * reservation and a result of its own, told by one event. A hot row is then written once a batch, not once a caller.
 *
 * While stock is plentiful a batch is one round trip: insert the rows and events, add the batch's
 * units to the hot rows last, commit. Those are locked only while the commit is written, so that the
 * next batch does its inserts meanwhile. Where the units are is a guess from the batch before; when it
 * is wrong the table's check fails the transaction, and the batch is decided again under the locks,
 * request by request in arrival order.
 */
export function createFlash(deps: FlashDeps): Reserve {
  const guesses = createGuesses();
  const coalescer: Coalescer<FlashItem, ReserveOutcome> = createCoalescer({
    name: "inventory.flash",
    batchMax: 128,
    inFlightMax: 2,
    waitingMax: 20_000,
    isSplittable: splitsOnDataErrors,
    run: (tenantId, items) => runBatch(deps, guesses, { tenantId: tenantId as TenantId, items }),
    ...(deps.onBatch ? { onBatch: deps.onBatch } : {}),
  });
  return async (ctx, request) => {
    const lines = checkRequest(request);
    if (!lines.ok) return lines;
    const checked = lines.value === request.lines ? request : { ...request, lines: lines.value };
    const claim = claimStep(ctx, "inventory.reserve");
    return coalescer.submit(ctx.tenantId, { origin: ctx, request: checked, claim });
  };
}

interface FlashItem extends AttributedRequest {
  /** Of the caller's `Idempotency-Key`, if it sent one. */
  readonly claim: IdempotencyClaim | undefined;
}

interface Batch {
  readonly tenantId: TenantId;
  readonly items: readonly FlashItem[];
}

async function runBatch(
  deps: FlashDeps,
  guesses: Guesses,
  batch: Batch,
): Promise<readonly ReserveOutcome[]> {
  // A key has to be looked up before anything is written, so there is no saving a round trip.
  const claimed = batch.items.some((item) => item.claim !== undefined);
  const planned = claimed ? undefined : guesses.plan(batch.tenantId, batch.items);
  if (planned) {
    const reserved = await reserveUnseen(deps, batch, planned);
    if (reserved) return reserved;
    guesses.forget(batch.tenantId, batch.items);
  }
  return reserveSeen(deps, guesses, batch);
}

/** One round trip. @returns undefined when the guess was wrong or an id was used before */
async function reserveUnseen(
  { db }: FlashDeps,
  { tenantId, items }: Batch,
  planned: readonly (readonly Allocation[])[],
): Promise<readonly Reserved[] | undefined> {
  const made = items.map(({ request: { id, reference, ttlMs } }, index): NewReservation => {
    return { id, reference, ttlMs, allocations: planned[index] ?? [] };
  });
  let taken: Promise<Date> | undefined;
  try {
    await db.commit(
      tenantId,
      async (tx) => {
        insertReservations(tx, made);
        tell(tx, items, made);
        taken = take(tx, totalsOf(planned.flat()));
        // Awaited after the commit, which it travels with; a failure is the commit's as well.
        taken.catch(() => {});
      },
      { name: "inventory.flash" },
    );
  } catch (error) {
    if (error instanceof DbError && error.code === "ERR_DB_CONSTRAINT") return undefined;
    throw error;
  }
  const at = await taken;
  return made.map(({ id, reference, ttlMs, allocations }) =>
    ok({
      id,
      state: "active",
      allocations,
      ...(reference === undefined ? {} : { reference }),
      ...(ttlMs === undefined || !at ? {} : { expiresAt: new Date(at.getTime() + ttlMs) }),
    }),
  );
}

/** One event for the batch; it carries the request id of whoever came first. */
function tell(
  tx: TenantTx,
  [first]: readonly AttributedRequest[],
  [head, ...rest]: readonly NewReservation[],
): void {
  if (first && head) appendEvents(tx, first.origin, [stockReserved([head, ...rest])]);
}

/** Two round trips: lock, decide in arrival order, write. */
async function reserveSeen(
  { db }: FlashDeps,
  guesses: Guesses,
  { tenantId, items }: Batch,
): Promise<readonly ReserveOutcome[]> {
  const claims = items.map((item) => item.claim);
  const requests = items.map((item) => item.request);
  const work = async (tx: TenantTx) => {
    const [verdicts, facts] = await Promise.all([claimKeys(tx, claims), loadFacts(tx, requests)]);
    const fresh = requests.filter((_, index) => verdicts[index]?.kind === "fresh");
    const { results, made } = decideReservations(fresh, facts);
    writeReservations(tx, made);
    tell(tx, items, made);
    let next = 0;
    const outcomes = verdicts.map(
      (verdict) => answerClaim(verdict) ?? present(results[next++], "a result per request"),
    );
    const fit = outcomes.map((outcome, index) =>
      outcome.ok && verdicts[index]?.kind === "fresh" ? outcome : undefined,
    );
    storeOutcomes(
      tx,
      fit.flatMap((outcome, index) =>
        outcome ? [{ claim: claims[index], value: outcome.value }] : [],
      ),
    );
    return { outcomes, made, cells: facts.cells };
  };
  const { outcomes, made, cells } = await db.commit(tenantId, work, { name: "inventory.flash" });
  guesses.learn(
    tenantId,
    cells,
    made.flatMap((each) => each.allocations),
  );
  return outcomes;
}

function answerClaim(verdict: ClaimVerdict): ReserveOutcome | undefined {
  if (verdict.kind === "replay") return ok(verdict.value as Reservation);
  if (verdict.kind === "mismatch") return fail(keyReused);
  if (verdict.kind === "in_flight") return fail(inFlight);
  return undefined;
}
