import type { TenantId } from "../../kernel/ids.ts";
import type { OrderChange, OrderId, OrderState } from "../../modules/orders/contract.ts";
import type { Payment, PaymentObservation } from "../../modules/payments/contract.ts";
import { type Coalescer, createCoalescer } from "../../platform/coalescer/coalescer.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { splitsOnDataErrors } from "../../platform/db/errors.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import { replaceOutcomes } from "../../platform/idempotency/keys.ts";
import { defineSaga, type SagaDefinition, type SagaEnding } from "../../platform/sagas/sagas.ts";
import {
  type CheckoutOutcome,
  type CheckoutStatus,
  chargeRetry,
  type PayOrder,
} from "./contract.ts";
import type { Asked, CheckoutDeps } from "./deps.ts";
import { reservationIdOf } from "./place-batch.ts";

/** One saga that is about to end. */
interface Finish {
  readonly ending: SagaEnding;
  readonly origin: EventOrigin;
  readonly input: PayOrder;
  readonly observation: PaymentObservation;
}

/** Why a saga's finish was not applied: another node took the run over. */
class TakenOverError extends Error {
  override readonly name = "TakenOverError";
  readonly code = "ERR_SAGA_TAKEN_OVER";
  readonly retryable = false;
}

/**
 * The payment of an order: one remote call, outside any transaction, then one transaction that it
 * shares with the other sagas of the tenant that end at the same moment.
 *
 * A refused card is an answer: the order is cancelled and its stock is free again. If the
 * provider's answer stays unknown, the undo makes sure that nothing was or will be charged, and
 * cancels the order.
 *
 * @param onSettled told of every outcome once it is durable
 */
export function definePayOrder(
  deps: CheckoutDeps,
  onSettled: (outcome: CheckoutOutcome) => void,
): SagaDefinition<PayOrder, CheckoutOutcome> {
  const finishes = createFinishes(deps, onSettled);
  return defineSaga({
    name: "checkout.pay_order",
    version: 1,
    timeoutMs: 15 * 60_000,
    async run(saga, input) {
      const observation = await saga.step(
        "charge",
        ({ ctx }) => deps.payments.charge(ctx, input.payment),
        {
          retry: chargeRetry,
          timeoutMs: 30_000,
          undo: (_, { ctx }) => giveUp(deps, { ...ctx, tenantId: saga.tenantId }, input),
        },
      );
      return saga.finish((ending) =>
        finishes.submit(saga.tenantId, { ending, origin: saga.ctx, input, observation }),
      );
    },
  });
}

function createFinishes(
  deps: CheckoutDeps,
  onSettled: (outcome: CheckoutOutcome) => void,
): Coalescer<Finish, CheckoutOutcome> {
  return createCoalescer({
    name: "checkout.finish",
    batchMax: 200,
    inFlightMax: 2,
    waitingMax: 10_000,
    isSplittable: splitsOnDataErrors,
    async run(tenantId, items) {
      const work = (tx: TenantTx) => finishAll(deps, tx, items);
      const outcomes = await deps.db.commit(tenantId as TenantId, work, {
        name: "checkout.finish",
      });
      for (const outcome of outcomes) onSettled(outcome);
      return outcomes;
    },
    ...(deps.onBatch ? { onBatch: deps.onBatch } : {}),
  });
}

async function finishAll(
  deps: CheckoutDeps,
  tx: TenantTx,
  items: readonly Finish[],
): Promise<readonly CheckoutOutcome[]> {
  const ended = await deps.sagas.completeSagas(
    tx,
    items.map(({ ending }) => ending),
  );
  if (ended.size < items.length && items.length === 1) throw new TakenOverError("run taken over");
  // A batch with a run that another node took over breaks up: its members come back one by one.
  if (ended.size < items.length) throw new Error("a run of the batch was taken over");
  const advances = await deps.payments.advancePayments(
    tx,
    (items[0] as Finish).origin,
    items.map(({ observation, origin }) => ({ ...observation, origin })),
  );
  const settled = items.map((item, at) => {
    const advance = advances[at];
    const payment = advance && advance.outcome !== "unknown_payment" ? advance.after : undefined;
    return { item, outcome: outcomeOf(item.input, payment) };
  });
  await settleOrders(deps, tx, settled);
  replaceOutcomes(
    tx,
    settled.flatMap(({ item, outcome }) =>
      item.input.claim ? [{ claim: item.input.claim, value: outcome }] : [],
    ),
  );
  return settled.map(({ outcome }) => outcome);
}

interface Settled {
  readonly item: Finish;
  readonly outcome: CheckoutOutcome;
}

async function settleOrders(
  deps: CheckoutDeps,
  tx: TenantTx,
  settled: readonly Settled[],
): Promise<void> {
  const asked = (status: CheckoutStatus): readonly Asked<OrderId>[] =>
    settled
      .filter(({ outcome }) => outcome.status === status)
      .map(({ item }) => ({ origin: item.origin, item: item.input.orderId }));
  await markPaid(deps, tx, asked("paid"));
  await markConfirmed(deps, tx, asked("authorised"));
  await abandon(deps, tx, asked("declined"), "payment_declined");
}

/** Orders whose money is there: paid, and their stock is sold. Others than pending are left alone. */
export async function markPaid(
  deps: CheckoutDeps,
  tx: TenantTx,
  orders: readonly Asked<OrderId>[],
): Promise<void> {
  if (orders.length === 0) return;
  const moved = await transition(deps, tx, orders, { to: "paid" });
  if (moved.length === 0) return;
  await deps.commitReservations(
    tx,
    moved.map(({ origin, item }) => ({ origin, item: reservationIdOf(item.id) })),
  );
}

/** Orders whose money is promised: confirmed, to be captured later. */
export async function markConfirmed(
  deps: CheckoutDeps,
  tx: TenantTx,
  orders: readonly Asked<OrderId>[],
): Promise<void> {
  if (orders.length > 0) await transition(deps, tx, orders, { to: "confirmed" });
}

/**
 * Orders that will not be paid: cancelled. The module of orders tells whoever has to give something
 * back (stock, promotions, ledger); the carts are open again.
 */
export async function abandon(
  deps: CheckoutDeps,
  tx: TenantTx,
  orders: readonly Asked<OrderId>[],
  reason: string,
): Promise<void> {
  if (orders.length === 0) return;
  const moved = await transition(deps, tx, orders, { to: "cancelled", reason });
  deps.carts.reopen(
    tx,
    moved.map(({ item }) => item.id),
  );
}

async function transition(
  deps: CheckoutDeps,
  tx: TenantTx,
  orders: readonly Asked<OrderId>[],
  step: Pick<OrderChange, "to" | "reason">,
): Promise<readonly Asked<OrderState>[]> {
  const results = await deps.transitionOrders(
    tx,
    orders.map(({ origin, item }) => ({ origin, item: { ...step, orderId: item } })),
  );
  // Refused: a webhook or a person was faster. What they decided stands.
  return results.flatMap((result, at) =>
    result.ok ? [{ origin: (orders[at] as Asked<OrderId>).origin, item: result.value }] : [],
  );
}

/** The undo of a charge whose outcome nobody knows: nothing is charged in the end, and no order. */
async function giveUp(
  deps: CheckoutDeps,
  ctx: Parameters<CheckoutDeps["payments"]["cancelPayment"]>[0],
  input: PayOrder,
): Promise<void> {
  await deps.payments.cancelPayment(ctx, input.payment.id);
  await deps.db.commit(
    ctx.tenantId,
    async (tx) => {
      await abandon(deps, tx, [{ origin: ctx, item: input.orderId }], "payment_unresolved");
      const outcome: CheckoutOutcome = {
        ...outcomeOf(input, undefined),
        status: "declined",
        failureCode: "payment_unresolved",
      };
      if (input.claim) replaceOutcomes(tx, [{ claim: input.claim, value: outcome }]);
    },
    { name: "checkout.give_up" },
  );
}

/** What a checkout came to, by the state of its payment. */
export function outcomeOf(input: PayOrder, payment: Payment | undefined): CheckoutOutcome {
  const placed: CheckoutOutcome = {
    orderId: input.orderId,
    number: input.number,
    status: "pending",
    currency: input.payment.currency,
    totalMinor: input.payment.amountMinor,
    paymentId: input.payment.id,
    sagaId: null,
    failureCode: null,
    nextActionUrl: null,
  };
  return payment ? settledAs(placed, payment) : placed;
}

/** A placed order's outcome, brought up to date with its payment. */
export function settledAs(placed: CheckoutOutcome, payment: Payment): CheckoutOutcome {
  const isWaiting = payment.status === "requires_action";
  return {
    ...placed,
    status: checkoutStatusOf(payment),
    sagaId: null,
    failureCode: payment.failureCode ?? null,
    nextActionUrl: isWaiting ? (payment.nextActionUrl ?? null) : null,
  };
}

/** Where a checkout stands, by the state of its payment. */
export function checkoutStatusOf(payment: Payment | undefined): CheckoutStatus {
  switch (payment?.status) {
    case "captured":
    case "partially_refunded":
    case "refunded":
      return "paid";
    case "authorised":
    case "partially_captured":
      return "authorised";
    case "requires_action":
      return "action_required";
    case "failed":
    case "voided":
      return "declined";
    default:
      return "pending";
  }
}
