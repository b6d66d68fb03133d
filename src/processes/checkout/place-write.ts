import { assert, present } from "../../kernel/assert.ts";
import type { Context, IdempotencyClaim } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import type { CartId } from "../../modules/carts/contract.ts";
import type { ReservationId } from "../../modules/inventory/contract.ts";
import type { Journal } from "../../modules/ledger/contract.ts";
import type { NewOrder } from "../../modules/orders/contract.ts";
import type { NewPayment, PaymentId, PaymentJournal } from "../../modules/payments/contract.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import type { SagaId } from "../../platform/sagas/sagas.ts";
import type { CheckoutOutcome, PayOrder, PlaceOrder } from "./contract.ts";
import type { Asked, CheckoutDeps } from "./deps.ts";
import { orderOf, placementJournal, saleJournal, totalOf } from "./draft.ts";
import {
  type Batch,
  isInstant,
  isSoldAtOnce,
  type Placing,
  reservationIdOf,
  sagaIdOf,
} from "./place-batch.ts";

interface Written {
  readonly origin: Context;
  readonly claim: IdempotencyClaim | undefined;
  readonly order: NewOrder;
  readonly payment: NewPayment | undefined;
  readonly isInstant: boolean;
  /** Stock that is reserved and has to be committed in this transaction. */
  readonly holdsStock: boolean;
  readonly sagaId: SagaId | null;
  readonly cartId: CartId | null;
}

/** Orders that are written together: while the server works on one part, the next is prepared. */
const partMax = 80;

/** Writes orders that have their stock, or are about to: rows, journals, payments, carts, events. */
export async function writeOrders(batch: Batch, placing: readonly Placing[]): Promise<void> {
  if (placing.length === 0) return;
  const { deps, tx } = batch;
  const now = deps.clock();
  const customerIds = await customersOf(deps, tx, placing);
  for (let from = 0; from < placing.length; from += partMax) {
    if (from > 0) await tx.flush();
    const part = placing.slice(from, from + partMax);
    const written = part.map((each, at) =>
      prepare(deps, each, customerIds[from + at] ?? null, now),
    );
    await writePart(batch, part, written);
  }
}

async function writePart(
  { deps, tx, results }: Batch,
  placing: readonly Placing[],
  written: readonly Written[],
): Promise<void> {
  deps.insertOrders(
    tx,
    written.map(({ origin, order }) => ({ origin, item: order })),
  );
  deps.carts.markOrdered(
    tx,
    placing.flatMap(({ cart, item }) => (cart ? [{ cart, orderId: item.command.orderId }] : [])),
  );
  const captured = await pay(deps, tx, written);
  deps.postJournals(
    tx,
    placing.flatMap((each, at) => journalOf(each, written[at] as Written, captured)),
  );
  for (const [at, { index }] of placing.entries())
    results[index] = ok(outcomeOf(written[at] as Written));
}

/** What was captured of orders that are paid where they are placed. */
type Captured = ReadonlyMap<string, readonly PaymentJournal[]>;

function journalOf(
  { draft, item }: Placing,
  { order }: Written,
  captured: Captured,
): readonly Asked<Journal>[] {
  const placement = placementJournal(order, draft);
  if (!placement) return [];
  const payments = captured.get(order.id) ?? [];
  const journal = payments.length === 0 ? placement : saleJournal(placement, payments);
  return [{ origin: item.ctx, item: journal }];
}

async function customersOf(
  deps: CheckoutDeps,
  tx: TenantTx,
  placing: readonly Placing[],
): Promise<readonly (string | null)[]> {
  const guests = placing.filter(
    ({ draft }) => draft.basket.customerId === null && draft.basket.email !== null,
  );
  const made =
    guests.length === 0
      ? []
      : await deps.upsertGuests(
          tx,
          guests.map(({ item, draft }) => ({
            origin: item.ctx,
            item: {
              email: draft.basket.email ?? "",
              name: draft.basket.shippingAddress?.name ?? null,
            },
          })),
        );
  const idOfGuest = new Map(guests.map((guest, at) => [guest, made[at]]));
  return placing.map((each) => each.draft.basket.customerId ?? idOfGuest.get(each) ?? null);
}

function prepare(
  deps: CheckoutDeps,
  placing: Placing,
  customerId: string | null,
  now: Date,
): Written {
  const { item, draft, cart } = placing;
  const settles = isInstant(deps, draft);
  const basket = { ...draft.basket, customerId };
  const order = orderOf(
    { ...draft, basket },
    { number: item.number, status: isSoldAtOnce(deps, draft) ? "paid" : "pending", now },
  );
  return {
    origin: item.ctx,
    claim: item.claim,
    order,
    payment: totalOf(draft) === 0 ? undefined : paymentOf(item.command, order),
    isInstant: settles,
    holdsStock: draft.basket.lines.length > 0 && draft.prices.promotions.length > 0,
    sagaId: settles ? null : sagaIdOf(order.id),
    cartId: cart?.id ?? null,
  };
}

function paymentOf({ payment }: PlaceOrder, order: NewOrder): NewPayment {
  assert(payment, "an order that costs something names its payment");
  const { instrumentToken, returnUrl, captureMode, provider } = payment;
  return {
    id: newId<"payment">() as PaymentId,
    orderId: order.id,
    provider,
    amountMinor: order.totals.totalMinor,
    currency: order.currency,
    ...(captureMode ? { captureMode } : {}),
    ...(instrumentToken ? { instrumentToken } : {}),
    ...(returnUrl ? { returnUrl } : {}),
  };
}

/**
 * Records the payments. What settles in this process is settled here and now, in this transaction;
 * for what needs a call to somewhere a saga is written that makes it after the commit.
 */
async function pay(
  deps: CheckoutDeps,
  tx: TenantTx,
  written: readonly Written[],
): Promise<Captured> {
  const remote = written.filter(({ sagaId }) => sagaId !== null);
  deps.createPayments(
    tx,
    remote.flatMap(({ origin, payment }) => (payment ? [{ origin, item: payment }] : [])),
  );
  if (remote.length > 0) {
    deps.sagas.startSagas(
      tx,
      (remote[0] as Written).origin,
      remote.map((each) => ({
        saga: deps.payOrder as never,
        id: present(each.sagaId, "saga id"),
        input: sagaInput(each) as never,
        origin: each.origin,
      })),
    );
  }
  const instant = written.filter(({ isInstant }) => isInstant);
  return settleInstantly(deps, tx, instant);
}

function sagaInput({ order, payment, cartId, claim }: Written): PayOrder {
  assert(payment, "a saga pays something");
  return {
    orderId: order.id,
    number: order.number,
    cartId,
    payment,
    claim: claim ?? null,
  };
}

async function settleInstantly(
  deps: CheckoutDeps,
  tx: TenantTx,
  instant: readonly Written[],
): Promise<Captured> {
  const sold: Asked<ReservationId>[] = instant
    .filter(({ order, holdsStock }) => holdsStock && order.status === "paid")
    .map(({ origin, order }) => ({ origin, item: reservationIdOf(order.id) }));
  if (sold.length > 0) await deps.commitReservations(tx, sold);
  const paying = instant.flatMap(({ origin, payment }) => (payment ? [{ origin, payment }] : []));
  if (paying.length === 0) return new Map();
  const settled = await Promise.all(
    paying.map(async ({ origin, payment }) => ({
      origin,
      payment,
      observation: await deps.payments.charge(origin, payment),
    })),
  );
  const records = deps.payments.recordSettled(tx, settled);
  return new Map(records.map(({ payment, journals }) => [payment.orderId, journals]));
}

function outcomeOf({ order, payment, sagaId, isInstant }: Written): CheckoutOutcome {
  const settled = order.status === "paid" ? "paid" : "authorised";
  return {
    orderId: order.id,
    number: order.number,
    status: isInstant ? settled : "pending",
    currency: order.currency,
    totalMinor: order.totals.totalMinor,
    paymentId: payment?.id ?? null,
    sagaId,
    failureCode: null,
    nextActionUrl: null,
  };
}
