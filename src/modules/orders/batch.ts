import type { Context } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import {
  defineJob,
  enqueueJobs,
  type JobDefinition,
  type JobId,
} from "../../platform/jobs/jobs.ts";
import type { CommandDeps } from "./commands.ts";
import type {
  BatchNotFound,
  OrderBatchId,
  OrderChange,
  OrderId,
  OrderState,
  OrderStatus,
  TransitionFailure,
} from "./contract.ts";
import { planForManyIds } from "./store.ts";
import { transitionOrders } from "./transitions.ts";

/** What became of one change of a batch. */
export type ChangeOutcome =
  | {
      readonly orderId: OrderId;
      readonly ok: true;
      readonly status: OrderStatus;
      readonly version: number;
    }
  | { readonly orderId: OrderId; readonly ok: false; readonly failure: TransitionFailure };

/** What became of a batch: one outcome per change, in order. */
export interface BatchOutcome {
  readonly results: readonly ChangeOutcome[];
  readonly refused: number;
}

/** A batch that runs as a background job. */
export interface OrderBatch extends BatchOutcome {
  readonly id: OrderBatchId;
  readonly total: number;
  /** Changes looked at so far; `results` has as many. */
  readonly done: number;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

/** Changes that one transaction of a background batch makes. */
const chunkSize = 500;
const applyBatchKind = "orders.apply_batch";

/**
 * Applies up to 10,000 changes in one transaction and a fixed number of statements. Refused changes
 * leave the others alone.
 */
export function applyChanges(
  deps: CommandDeps,
  ctx: Context,
  changes: readonly OrderChange[],
): Promise<Result<BatchOutcome, IdempotencyFailure>> {
  return deps.work.transact<BatchOutcome, never>(
    ctx,
    async (tx) => ok(await apply(deps, tx, ctx, changes)),
    { name: "orders.apply_changes", statementTimeoutMs: 30_000 },
  );
}

async function apply(
  deps: CommandDeps,
  tx: TenantTx,
  origin: EventOrigin,
  changes: readonly OrderChange[],
): Promise<BatchOutcome> {
  const asked = changes.map((item) => ({ origin, item }));
  planForManyIds(tx);
  const decided = await transitionOrders(tx, asked, deps.effects);
  const results = decided.map((result, index) => outcome(changes[index]?.orderId, result));
  return { results, refused: results.filter((result) => !result.ok).length };
}

function outcome(
  orderId: OrderId | undefined,
  result: Result<OrderState, TransitionFailure>,
): ChangeOutcome {
  if (!result.ok) return { orderId: orderId as OrderId, ok: false, failure: result.failure };
  const { id, status, version } = result.value;
  return { orderId: id, ok: true, status, version };
}

/** Stores changes to be applied in the background, and enqueues the job that does it. */
export function applyChangesLater(
  deps: CommandDeps,
  ctx: Context,
  changes: readonly OrderChange[],
): Promise<Result<{ readonly batchId: OrderBatchId; readonly jobId: JobId }, IdempotencyFailure>> {
  return deps.work.transact<{ batchId: OrderBatchId; jobId: JobId }, never>(
    ctx,
    async (tx) => {
      const batchId = newId<"order_batch">();
      const jobId = newId<"job">();
      tx.write(sql("orders.insert_batch")`
        insert into order_batches (tenant_id, id, changes, total, created_at)
        values (${tx.tenantId}, ${batchId}, ${JSON.stringify(changes)}::jsonb, ${changes.length},
          now())`);
      enqueueJobs(tx, ctx, [{ id: jobId, kind: applyBatchKind, payload: { batchId } }]);
      return ok({ batchId, jobId });
    },
    { name: "orders.apply_changes_later" },
  );
}

/** Reads a background batch with its results so far. */
export async function getBatch(
  deps: CommandDeps,
  ctx: Pick<Context, "tenantId">,
  batchId: string,
): Promise<Result<OrderBatch, BatchNotFound>> {
  const batch = await deps.db.read(
    ctx.tenantId,
    (tx) =>
      tx.maybe<OrderBatch>(sql("orders.find_batch")`
        select id, results, total, done, refused, created_at as "createdAt",
          finished_at as "finishedAt"
        from order_batches where tenant_id = ${tx.tenantId} and id = ${batchId}::uuid`),
    { name: "orders.get_batch" },
  );
  return batch ? ok(batch) : fail({ code: "orders.batch_not_found", batchId });
}

/** The job that applies a stored batch, chunk by chunk; a run that dies is resumed where it was. */
export function applyBatchJob(deps: CommandDeps): JobDefinition {
  return defineJob<{ readonly batchId: string }>({
    kind: applyBatchKind,
    async handle({ ctx, job, signal, progress }) {
      for (;;) {
        signal.throwIfAborted();
        const step = await deps.db.commit(
          ctx.tenantId,
          (tx) => applyChunk(deps, tx, ctx, job.payload.batchId),
          { name: applyBatchKind },
        );
        progress(step.done / step.total, `${step.done} of ${step.total} orders`);
        if (step.done >= step.total) return;
      }
    },
  });
}

interface Chunk {
  readonly done: number;
  readonly total: number;
  readonly refused: number;
  readonly chunk: readonly (Omit<OrderChange, "at"> & { readonly at?: string })[] | null;
}

/** Applies the next changes of a batch and notes their results, in one transaction. */
async function applyChunk(
  deps: CommandDeps,
  tx: TenantTx,
  origin: EventOrigin,
  batchId: string,
): Promise<{ readonly done: number; readonly total: number }> {
  // The row lock keeps a run whose lease was lost and its successor from applying a chunk twice.
  const batch = await tx.one<Chunk>(sql("orders.lock_batch")`
    select done, total, refused,
      (select jsonb_agg(change order by place)
       from jsonb_array_elements(changes) with ordinality as c (change, place)
       where place > done and place <= done + ${chunkSize}) as chunk
    from order_batches where tenant_id = ${tx.tenantId} and id = ${batchId}::uuid
    for update`);
  if (!batch.chunk) return batch;
  const changes = batch.chunk.map(({ at, ...change }) =>
    at === undefined ? change : { ...change, at: new Date(at) },
  );
  const { results, refused } = await apply(deps, tx, origin, changes);
  const done = batch.done + changes.length;
  tx.write(sql("orders.advance_batch")`
    update order_batches
    set done = ${done}, refused = refused + ${refused},
      results = results || ${JSON.stringify(results)}::jsonb,
      finished_at = case when ${done}::integer = total then now() end
    where tenant_id = ${tx.tenantId} and id = ${batchId}::uuid`);
  return { done, total: batch.total };
}

/** Deletes finished batches older than a moment. @returns how many, at most `limit` */
export function deleteOldBatches(
  deps: Pick<CommandDeps, "db">,
  ctx: Pick<Context, "tenantId">,
  before: Date,
  limit: number,
): Promise<number> {
  return deps.db.commit(
    ctx.tenantId,
    (tx) =>
      tx.run(sql("orders.delete_old_batches")`
        delete from order_batches
        where tenant_id = ${tx.tenantId} and id in (
          select id from order_batches
          where tenant_id = ${tx.tenantId} and finished_at < ${before} order by id limit ${limit})`),
    { name: "orders.delete_old_batches" },
  );
}
