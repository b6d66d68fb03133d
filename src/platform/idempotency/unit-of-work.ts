import type { Context, IdempotencyClaim } from "../../kernel/context.ts";
import { type Failure, fail, ok, type Result } from "../../kernel/result.ts";
import type { Db, TenantTx, WorkOptions } from "../db/db.ts";
import type { IdempotencyFailure } from "./contract.ts";
import { claimKeys, storeOutcomes } from "./keys.ts";

/** How a unit of work of a caller runs: its name is part of what its key stands for. */
export type NamedWork = WorkOptions & { readonly name: string };

/** Transactions that know their caller, and honour the `Idempotency-Key` it sent. */
export interface UnitOfWork {
  /**
   * Runs `work` once per key: a retry of the same request gets the first run's value, without
   * running it. Without a key on the context it is `db.transact`.
   *
   * The value is stored with the effects and read back as plain data: dates stay dates, class
   * instances do not survive. A refusal is not stored. One context may run several units of work;
   * each name (and each use of the same name, in order) is a step of its own.
   * @throws DbError
   */
  transact<Value, F extends Failure>(
    ctx: Context,
    work: (tx: TenantTx) => Promise<Result<Value, F>>,
    options: NamedWork,
  ): Promise<Result<Value, F | IdempotencyFailure>>;
}

/** Makes units of work that honour idempotency keys. */
export function createUnitOfWork(db: Db): UnitOfWork {
  return {
    transact(ctx, work, given) {
      const claim = claimStep(ctx, given.name);
      const options = { ...given, deadlineMs: given.deadlineMs ?? ctx.deadlineMs };
      if (!claim) return db.transact(ctx.tenantId, work, options);
      return transactOnce(db, ctx, { claim, options }, work);
    },
  };
}

/** A claim, and how to run what it stands for. */
export interface OnceOptions {
  readonly claim: IdempotencyClaim;
  readonly options?: WorkOptions;
}

/**
 * Runs `work` in one transaction unless its key was used: then gives the first run's value.
 *
 * @returns idempotency.key_reused when the key came with another request, idempotency.in_flight
 *   when another transaction works on it right now
 * @throws DbError
 */
export function transactOnce<Value, F extends Failure>(
  db: Db,
  ctx: Context,
  { claim, options }: OnceOptions,
  work: (tx: TenantTx) => Promise<Result<Value, F>>,
): Promise<Result<Value, F | IdempotencyFailure>> {
  return db.transact<Value, F | IdempotencyFailure>(
    ctx.tenantId,
    async (tx) => {
      const [verdict] = await claimKeys(tx, [claim]);
      if (verdict?.kind === "replay") return ok(verdict.value as Value);
      if (verdict?.kind === "mismatch") return fail(keyReused);
      if (verdict?.kind === "in_flight") return fail(inFlight);
      const result = await work(tx);
      if (result.ok) storeOutcomes(tx, [{ claim, value: result.value }]);
      return result;
    },
    options,
  );
}

/** The refusal of a key that came with another request before. */
export const keyReused: IdempotencyFailure = {
  code: "idempotency.key_reused",
  detail: "this Idempotency-Key was used for another request; mint a new key for a new request",
};

/** The refusal of a key whose first request is still under way. */
export const inFlight: IdempotencyFailure = {
  code: "idempotency.in_flight",
  detail: "a request with this Idempotency-Key is being processed; try again shortly",
};

const steps = new WeakMap<IdempotencyClaim, Map<string, number>>();

/**
 * The claim of one step of a request: `POST /v1/orders#orders.place`, the second step of the same
 * name `…#orders.place:2`. For commands that claim in a batch themselves; `transact` calls it.
 *
 * @returns undefined when the caller sent no key
 */
export function claimStep(ctx: Context, name: string): IdempotencyClaim | undefined {
  const claim = ctx.idempotency;
  if (!claim) return undefined;
  const counts = steps.get(claim) ?? new Map<string, number>();
  steps.set(claim, counts);
  const count = (counts.get(name) ?? 0) + 1;
  counts.set(name, count);
  return { ...claim, route: `${claim.route}#${name}${count > 1 ? `:${count}` : ""}` };
}

/** Whether anything honoured the key of this request: the HTTP layer reports routes that forget. */
export function wasHonoured(claim: IdempotencyClaim): boolean {
  return steps.has(claim);
}
