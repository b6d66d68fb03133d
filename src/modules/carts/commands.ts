import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { type Failure, fail, ok, type Result } from "../../kernel/result.ts";
import { type Coalescer, createCoalescer } from "../../platform/coalescer/coalescer.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { splitsOnDataErrors } from "../../platform/db/errors.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import { type ClaimVerdict, claimKeys, storeOutcomes } from "../../platform/idempotency/keys.ts";
import { claimStep, inFlight, keyReused } from "../../platform/idempotency/unit-of-work.ts";
import { changeCart } from "./cart.ts";
import type { Cart, CartFailure, CartId, CartView, ChangeCart } from "./contract.ts";
import type { Pricing } from "./pricing.ts";
import { lockCarts, saveCarts } from "./store.ts";
import {
  type CartDeps,
  loadTables,
  loadTerms,
  type TablesByCurrency,
  viewCart,
} from "./store-tables.ts";

/** One caller's change. */
export interface ChangeItem {
  readonly ctx: Context;
  readonly change: ChangeCart;
}

/** What a change came to. */
export type ChangeOutcome = Result<CartView, CartFailure | IdempotencyFailure>;

/** Makes the coalescer of cart changes: concurrent shoppers of a brand share a transaction. */
export function createChanges(deps: CartDeps): Coalescer<ChangeItem, ChangeOutcome> {
  return createCoalescer({
    name: "carts.change",
    batchMax: 200,
    inFlightMax: 2,
    // Few callers are served sooner together than by a second batch beside the first.
    besideMin: 8,
    waitingMax: 5_000,
    isSplittable: splitsOnDataErrors,
    run: (tenantId, items) =>
      deps.db.commit(tenantId as TenantId, (tx) => changeCarts(deps, tx, items), {
        name: "carts.change",
      }),
    ...(deps.onBatch ? { onBatch: deps.onBatch } : {}),
  });
}

async function changeCarts(
  deps: CartDeps,
  tx: TenantTx,
  items: readonly ChangeItem[],
): Promise<readonly ChangeOutcome[]> {
  const claims = items.map(({ ctx }) => claimStep(ctx, "carts.change"));
  const [verdicts, stored, terms] = await Promise.all([
    claimKeys(tx, claims),
    lockCarts(tx, [...new Set(items.map(({ change }) => change.id))]),
    loadTerms(
      deps.source,
      tx,
      items.flatMap(({ change }) => change.patch.couponCodes ?? []),
    ),
  ]);
  const carts = new Map<CartId, Cart>(stored);
  const decided = items.map(({ change }, index) => decide(carts, change, verdicts[index]));
  const tables = await loadTables(deps.source, tx, {
    carts: decided.flatMap((each) => (each.ok && "cart" in each.value ? [each.value.cart] : [])),
    terms,
  });
  const now = deps.clock();
  const outcomes = items.map(({ change }, index) =>
    priceDecided(deps.pricing, decided[index] as Decided, { change, tables, now }),
  );
  const changed = new Map(
    outcomes.flatMap((outcome, index) =>
      outcome.ok && verdicts[index]?.kind === "fresh"
        ? [[outcome.value.cart.id, outcome.value.cart]]
        : [],
    ),
  );
  saveCarts(tx, [...changed.values()]);
  storeOutcomes(
    tx,
    outcomes.flatMap((outcome, index) =>
      outcome.ok && verdicts[index]?.kind === "fresh"
        ? [{ claim: claims[index], value: outcome.value }]
        : [],
    ),
  );
  return outcomes;
}

type Decided = Result<{ readonly cart: Cart } | { readonly replay: CartView }, Failure> &
  Result<unknown, CartFailure | IdempotencyFailure>;

function decide(
  carts: Map<CartId, Cart>,
  change: ChangeCart,
  verdict: ClaimVerdict | undefined,
): Decided {
  if (verdict?.kind === "replay") return ok({ replay: verdict.value as CartView });
  if (verdict?.kind === "mismatch") return fail(keyReused);
  if (verdict?.kind === "in_flight") return fail(inFlight);
  const result = changeCart(carts.get(change.id), change);
  if (!result.ok) return result;
  carts.set(change.id, result.value);
  return ok({ cart: result.value });
}

interface Repricing {
  readonly change: ChangeCart;
  readonly tables: TablesByCurrency;
  readonly now: Date;
}

function priceDecided(pricing: Pricing, decided: Decided, repricing: Repricing): ChangeOutcome {
  if (!decided.ok) return decided;
  if ("replay" in decided.value) return ok(decided.value.replay);
  const { cart } = decided.value;
  const view = viewCart(pricing, cart, repricing.tables, repricing.now);
  const { problem } = view;
  return problem && isOfChange(problem, repricing.change) ? fail(problem) : ok(view);
}

/** A change is refused for what it brings in, not for a product that was taken down meanwhile. */
function isOfChange(problem: CartFailure, { patch }: ChangeCart): boolean {
  if (problem.code === "carts.unknown_shipping_method") return patch.shippingMethodId !== undefined;
  if (!("variantId" in problem)) return true;
  const lines = [...(patch.lines ?? []), ...(patch.setLines ?? []), ...(patch.addLines ?? [])];
  return lines.some(({ variantId }) => variantId === problem.variantId);
}
