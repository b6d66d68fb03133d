import type { Context, IdempotencyClaim } from "../../kernel/context.ts";
import type { Result } from "../../kernel/result.ts";
import type { Cart } from "../../modules/carts/contract.ts";
import type { ReservationId } from "../../modules/inventory/contract.ts";
import type { OrderId } from "../../modules/orders/contract.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import type { SagaId } from "../../platform/sagas/sagas.ts";
import type { CheckoutOutcome, PlaceOrder, PlaceOrderFailure } from "./contract.ts";
import type { CheckoutDeps } from "./deps.ts";
import { type Draft, totalOf } from "./draft.ts";

/** One caller's order. */
export interface PlaceItem {
  readonly ctx: Context;
  readonly command: PlaceOrder;
  /** Taken before the transaction: it may need one of its own. */
  readonly number: number;
  readonly claim: IdempotencyClaim | undefined;
}

/** What placing came to. */
export type PlaceResult = Result<CheckoutOutcome, PlaceOrderFailure>;

/** An order of the batch that is going to be written. */
export interface Placing {
  readonly index: number;
  readonly item: PlaceItem;
  readonly draft: Draft;
  readonly cart: Cart | undefined;
}

/** A batch under way. Whoever is refused gets a result early and drops out. */
export interface Batch {
  readonly deps: CheckoutDeps;
  readonly tx: TenantTx;
  readonly items: readonly PlaceItem[];
  readonly results: (PlaceResult | undefined)[];
}

/** The payment saga of an order has the order's own id. */
export function sagaIdOf(orderId: OrderId): SagaId {
  return orderId as string as SagaId;
}

/** The reservation of an order has the order's own id. */
export function reservationIdOf(orderId: OrderId): ReservationId {
  return orderId as string as ReservationId;
}

/** Whether everything about the payment happens in this process, now. */
export function isInstant(deps: CheckoutDeps, draft: Draft): boolean {
  return totalOf(draft) === 0 || deps.instantProviders.has(draft.command.payment?.provider ?? "");
}

/** Whether the money is there with the commit, and the stock gone. */
export function isSoldAtOnce(deps: CheckoutDeps, draft: Draft): boolean {
  return isInstant(deps, draft) && draft.command.payment?.captureMode !== "manual";
}
