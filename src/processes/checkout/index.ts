import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { OrderId } from "../../modules/orders/contract.ts";
import type { PaymentAdvance, PaymentId } from "../../modules/payments/contract.ts";
import { type Coalescer, createCoalescer } from "../../platform/coalescer/coalescer.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { splitsOnDataErrors } from "../../platform/db/errors.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import { claimStep } from "../../platform/idempotency/unit-of-work.ts";
import type { SagaDefinition, SagaId } from "../../platform/sagas/sagas.ts";
import type {
  CheckoutOutcome,
  CheckoutStatus,
  OrderUnknown,
  PaymentDeclined,
  PayOrder,
  PlaceOrder,
  PlaceOrderFailure,
} from "./contract.ts";
import type { Asked, CheckoutDeps } from "./deps.ts";
import {
  abandon,
  checkoutStatusOf,
  definePayOrder,
  markConfirmed,
  markPaid,
  settledAs,
} from "./pay.ts";
import { placeOrders, StockRefusedError, type StockTurn } from "./place.ts";
import type { PlaceItem, PlaceResult } from "./place-batch.ts";

export type { Asked, CheckoutDeps } from "./deps.ts";
export { reservationIdOf } from "./place-batch.ts";
export { checkoutRoutes } from "./routes.ts";

/** What a checkout answers. */
export type CheckoutResult = Result<CheckoutOutcome, PlaceOrderFailure | PaymentDeclined>;

/** Ordering and paying. */
export interface Checkout {
  /**
   * Places an order in one transaction that it shares with the other callers of the tenant, without
   * waiting for a remote payment.
   */
  place(ctx: Context, command: PlaceOrder): Promise<PlaceResult>;
  /** Places an order and waits until its payment is settled, at most `waitMs` milliseconds. */
  checkout(ctx: Context, command: PlaceOrder, waitMs: number): Promise<CheckoutResult>;
  /** Where a checkout stands now: for a page that waits, or that a buyer comes back to. */
  status(ctx: Context, orderId: OrderId): Promise<Result<CheckoutOutcome, OrderUnknown>>;
  /** To be registered with the sagas. */
  readonly payOrder: SagaDefinition<PayOrder, CheckoutOutcome>;
  /**
   * Moves the orders of payments that moved without the saga (a webhook, a returning buyer, the
   * sweeper), in the same transaction.
   */
  onPaymentsAdvanced(
    tx: TenantTx,
    origin: EventOrigin,
    advances: readonly PaymentAdvance[],
  ): Promise<void>;
}

/** Builds the process. */
export function createCheckout(given: Omit<CheckoutDeps, "payOrder">): Checkout {
  const deps: CheckoutDeps = { ...given, payOrder: null };
  const settlements = createSettlements();
  const payOrder = definePayOrder(deps, settlements.settle);
  const placing = createPlacing({ ...deps, payOrder });
  const place = async (ctx: Context, command: PlaceOrder): Promise<PlaceResult> => {
    const claim = claimStep(ctx, "checkout.place");
    const [number = 0] = await deps.takeNumbers(ctx.tenantId, 1);
    return placing.submit(ctx.tenantId, { ctx, command, number, claim });
  };
  return {
    place,
    payOrder,
    async checkout(ctx, command, waitMs) {
      const placed = await place(ctx, command);
      if (!placed.ok) return placed;
      return toResult(await settledOutcome({ deps, settlements, ctx, waitMs }, placed.value));
    },
    status: (ctx, orderId) => readStatus(deps, ctx, orderId),
    onPaymentsAdvanced: (tx, origin, advances) => followPayments(deps, tx, origin, advances),
  };
}

/** How long the batches of a brand take stock first after one of their orders was refused, milliseconds. */
const carefulForMs = 2_000;

function createPlacing(deps: CheckoutDeps): Coalescer<PlaceItem, PlaceResult> {
  const refusedAt = new Map<string, number>();
  const place = (tenantId: string, items: readonly PlaceItem[], turn: StockTurn) =>
    deps.db.commit(tenantId as TenantId, (tx) => placeOrders(deps, tx, items, turn), {
      name: "checkout.place",
    });
  const isCareful = (tenantId: string): boolean => {
    const at = refusedAt.get(tenantId);
    if (at === undefined) return false;
    if (performance.now() - at < carefulForMs) return true;
    refusedAt.delete(tenantId);
    return false;
  };
  return createCoalescer({
    name: "checkout.place",
    batchMax: 128,
    inFlightMax: 2,
    // Small batches cost more than their wait: a second one starts when it pays.
    besideMin: 64,
    waitingMax: 10_000,
    isSplittable: splitsOnDataErrors,
    async run(tenantId, items) {
      if (isCareful(tenantId)) return place(tenantId, items, "first");
      try {
        return await place(tenantId, items, "last");
      } catch (error) {
        if (!(error instanceof StockRefusedError)) throw error;
        refusedAt.set(tenantId, performance.now());
        return place(tenantId, items, "first");
      }
    },
    ...(deps.onBatch ? { onBatch: deps.onBatch } : {}),
  });
}

/** Outcomes that callers of this process wait for. */
interface Settlements {
  /** Remembers the outcome of an order, if somebody waits for it. */
  readonly settle: (outcome: CheckoutOutcome) => void;
  /** From now on somebody waits. */
  await(orderId: string): void;
  /** The outcome, if it came; nobody waits any more. */
  take(orderId: string): CheckoutOutcome | undefined;
}

function createSettlements(): Settlements {
  const awaited = new Map<string, CheckoutOutcome | undefined>();
  return {
    settle(outcome) {
      if (awaited.has(outcome.orderId)) awaited.set(outcome.orderId, outcome);
    },
    await(orderId) {
      if (!awaited.has(orderId)) awaited.set(orderId, undefined);
    },
    take(orderId) {
      const outcome = awaited.get(orderId);
      awaited.delete(orderId);
      return outcome;
    },
  };
}

interface Settling {
  readonly deps: CheckoutDeps;
  readonly settlements: Settlements;
  readonly ctx: Context;
  readonly waitMs: number;
}

/** Waits for the saga of a pending outcome and gives what it came to. */
async function settledOutcome(
  { deps, settlements, ctx, waitMs }: Settling,
  placed: CheckoutOutcome,
): Promise<CheckoutOutcome> {
  if (placed.status !== "pending" || placed.sagaId === null) return placed;
  settlements.await(placed.orderId);
  const run = await deps.sagas.waitFor(ctx.tenantId, placed.sagaId as SagaId, {
    timeoutMs: waitMs,
    ...(ctx.signal ? { signal: ctx.signal } : {}),
  });
  const settled = settlements.take(placed.orderId);
  if (settled) return settled;
  if (run?.status === "compensated") {
    return { ...placed, status: "declined", failureCode: "payment_unresolved", sagaId: null };
  }
  // Settled by another node, before we waited, or not yet: the payment knows.
  const found = await deps.payments.getPayment(ctx, placed.paymentId as PaymentId);
  return found.ok ? settledAs(placed, found.value.payment) : placed;
}

async function readStatus(
  deps: CheckoutDeps,
  ctx: Context,
  orderId: OrderId,
): Promise<Result<CheckoutOutcome, OrderUnknown>> {
  const [order, found] = await Promise.all([
    deps.findOrder(ctx.tenantId, orderId),
    deps.payments.listPayments(ctx, { orderId, limit: 1 }),
  ]);
  if (!order) return fail({ code: "checkout.order_not_found", orderId });
  const [payment] = found.items;
  const outcome: CheckoutOutcome = {
    orderId,
    number: order.number,
    status: order.status === "cancelled" ? "declined" : "paid",
    currency: order.currency,
    totalMinor: order.totalMinor,
    paymentId: payment?.id ?? null,
    sagaId: null,
    failureCode: null,
    nextActionUrl: null,
  };
  return ok(payment ? settledAs(outcome, payment) : outcome);
}

/** A declined payment is a refusal to the caller, also when a retry reads it from its key. */
function toResult(outcome: CheckoutOutcome): CheckoutResult {
  if (outcome.status !== "declined") return ok(outcome);
  return fail({
    code: "checkout.payment_declined",
    orderId: outcome.orderId,
    failureCode: outcome.failureCode ?? "declined",
  });
}

async function followPayments(
  deps: CheckoutDeps,
  tx: TenantTx,
  origin: EventOrigin,
  advances: readonly PaymentAdvance[],
): Promise<void> {
  const moved = advances.flatMap((advance) =>
    advance.outcome === "advanced" ? [advance.after] : [],
  );
  const of = (status: CheckoutStatus): readonly Asked<OrderId>[] =>
    moved
      .filter((payment) => checkoutStatusOf(payment) === status)
      .map(({ orderId }) => ({ origin, item: orderId }));
  await markConfirmed(deps, tx, of("authorised"));
  await markPaid(deps, tx, of("paid"));
  await abandon(deps, tx, of("declined"), "payment_failed");
}
