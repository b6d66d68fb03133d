import type { Clock } from "../../kernel/clock.ts";
import { newId } from "../../kernel/ids.ts";
import type { Result } from "../../kernel/result.ts";
import type {
  LocationId,
  ReservationId,
  SettleFailure,
  StockAdjustment,
} from "../../modules/inventory/contract.ts";
import type { Journal, JournalEntry, JournalId } from "../../modules/ledger/contract.ts";
import type { Reversal } from "../../modules/ledger/reverse.ts";
import type {
  Asked,
  Order,
  OrderId,
  OrderReturn,
  OrderState,
} from "../../modules/orders/contract.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import type { SagaDefinition, SagaId, Sagas } from "../../platform/sagas/sagas.ts";
import type { PayBack } from "./pay-back.ts";

/** What giving back needs of the modules, each a set-based function; `app.ts` provides them. */
export interface RefundDeps {
  readonly clock: Clock;
  readonly sagas: Sagas;
  readonly releaseReservations: (
    tx: TenantTx,
    origin: EventOrigin,
    ids: readonly ReservationId[],
  ) => Promise<readonly Result<unknown, SettleFailure>[]>;
  readonly adjustStock: (
    tx: TenantTx,
    origin: EventOrigin,
    adjustments: readonly StockAdjustment[],
  ) => Promise<readonly Result<unknown>[]>;
  /** Where returned goods are put: the first active location by priority. */
  readonly defaultLocation: (tx: TenantTx) => Promise<LocationId | undefined>;
  readonly releasePromotions: (
    tx: TenantTx,
    origin: EventOrigin,
    orderIds: readonly string[],
  ) => Promise<unknown>;
  readonly findOrders: (
    tx: TenantTx,
    ids: readonly OrderId[],
  ) => Promise<ReadonlyMap<OrderId, Order>>;
  readonly postJournals: (
    tx: TenantTx,
    rows: readonly { readonly origin: EventOrigin; readonly journal: Journal }[],
  ) => void;
  readonly reverseJournals: (tx: TenantTx, reversals: readonly Reversal[]) => Promise<void>;
  readonly payBack: SagaDefinition<PayBack, unknown>;
}

/**
 * Gives back what a cancelled order took: stock, promotions and what it posted. Runs in the
 * transaction that cancels the orders, under their locks.
 */
export async function undoOrders(
  deps: RefundDeps,
  tx: TenantTx,
  orders: readonly Asked<OrderState>[],
): Promise<void> {
  const [first] = orders;
  if (!first) return;
  const ids = orders.map(({ item }) => item.id);
  const settled = await deps.releaseReservations(
    tx,
    first.origin,
    ids as string[] as ReservationId[],
  );
  const sold = orders.filter((_, at) => {
    const result = settled[at];
    return result?.ok === false && result.failure.code === "inventory.reservation_closed";
  });
  await putBack(deps, tx, sold);
  await deps.releasePromotions(tx, first.origin, ids);
  await deps.reverseJournals(
    tx,
    orders.map(({ origin, item }) => ({
      origin,
      of: item.id as string as JournalId,
      kind: "order.cancelled",
      description: `Order ${item.number} cancelled`,
      reference: `order:${item.id}`,
      occurredAt: origin.occurredAt ?? deps.clock(),
    })),
  );
}

/** Goods of orders that were sold already go back on the shelf, unless they have left the house. */
async function putBack(
  deps: RefundDeps,
  tx: TenantTx,
  sold: readonly Asked<OrderState>[],
): Promise<void> {
  if (sold.length === 0) return;
  const orders = await deps.findOrders(
    tx,
    sold.map(({ item }) => item.id),
  );
  await shelve(
    deps,
    tx,
    sold.flatMap(({ origin, item }) => {
      const lines = orders.get(item.id)?.lines ?? [];
      const kept = lines.map(({ variantId, quantity, fulfilledQuantity }) => ({
        variantId,
        quantity: quantity - fulfilledQuantity,
      }));
      return [{ origin, id: newId(), reference: `order:${item.id}`, lines: kept }];
    }),
  );
}

interface Shelving {
  readonly origin: EventOrigin;
  readonly id: string;
  readonly reference: string;
  readonly lines: readonly { readonly variantId: string | null; readonly quantity: number }[];
}

async function shelve(
  deps: RefundDeps,
  tx: TenantTx,
  shelvings: readonly Shelving[],
): Promise<void> {
  const locationId = await deps.defaultLocation(tx);
  const goods = shelvings.flatMap(({ id, reference, lines, origin }) => {
    const units = lines.filter(({ variantId, quantity }) => variantId !== null && quantity > 0);
    if (units.length === 0 || locationId === undefined) return [];
    const adjustment = {
      id,
      reason: "returned",
      reference,
      lines: units.map(({ variantId, quantity }) => ({ variantId, quantity, locationId })),
    } as unknown as StockAdjustment;
    return [{ origin, adjustment }];
  });
  const [first] = goods;
  if (!first) return;
  const results = await deps.adjustStock(
    tx,
    first.origin,
    goods.map(({ adjustment }) => adjustment),
  );
  const refused = results.find((result) => !result.ok);
  // Stock that comes back has no reason to be refused: if it is, nothing of the change is kept.
  if (refused) throw new Error(`returned goods were refused: ${JSON.stringify(refused)}`);
}

/**
 * Orders that are cancelled by a person: as {@link undoOrders}, and a saga gives the money back or
 * gives up what was authorised.
 */
export async function cancelOrders(
  deps: RefundDeps,
  tx: TenantTx,
  orders: readonly Asked<OrderState>[],
): Promise<void> {
  const [first] = orders;
  if (!first) return;
  await undoOrders(deps, tx, orders);
  deps.sagas.startSagas(
    tx,
    first.origin,
    orders.map(({ origin, item }) => ({
      saga: deps.payBack as never,
      id: newId<"saga">() as SagaId,
      input: { kind: "cancellation", orderId: item.id } as never,
      origin,
    })),
  );
}

/**
 * Goods that came back: they go on the shelf, the ledger owes the refund, and a saga pays it out the
 * way the order was paid. Without a receipt nobody knows that way: a person pays it out.
 */
export async function takeReturns(
  deps: RefundDeps,
  tx: TenantTx,
  returns: readonly Asked<OrderReturn>[],
): Promise<void> {
  const [first] = returns;
  if (!first) return;
  await shelve(
    deps,
    tx,
    returns.map(({ origin, item }) => ({
      origin,
      id: item.id,
      reference: `return:${item.id}`,
      lines: item.lines.filter(({ restock }) => restock),
    })),
  );
  const orderIds = returns.flatMap(({ item }) => (item.orderId ? [item.orderId] : []));
  const orders = orderIds.length > 0 ? await deps.findOrders(tx, orderIds) : new Map();
  const owing = returns.filter(({ item }) => item.refundMinor > 0);
  deps.postJournals(
    tx,
    owing.map(({ origin, item }) => ({
      origin,
      journal: returnJournal(item, item.orderId ? orders.get(item.orderId) : undefined, {
        occurredAt: origin.occurredAt ?? item.createdAt,
      }),
    })),
  );
  const payable = owing.filter(({ item }) => item.orderId !== null);
  if (payable.length === 0) return;
  deps.sagas.startSagas(
    tx,
    first.origin,
    payable.map(({ origin, item }) => ({
      saga: deps.payBack as never,
      id: item.id as string as SagaId,
      input: {
        kind: "return",
        orderId: item.orderId,
        amountMinor: item.refundMinor,
        ...(origin.occurredAt ? { occurredAt: origin.occurredAt.toISOString() } : {}),
      } as never,
      origin,
    })),
  );
}

/** What a return posts: less sold, less tax owed, and a refund owed to the buyer. */
export function returnJournal(
  returned: OrderReturn,
  order: Order | undefined,
  { occurredAt }: { readonly occurredAt: Date },
): Journal {
  const { currency } = returned;
  const taxMinor = returned.lines.reduce((total, line) => {
    const bought = order?.lines.find(({ lineNo }) => lineNo === line.orderLineNo);
    if (!bought || bought.totalMinor === 0) return total;
    return total + Math.round((line.refundMinor * bought.taxMinor) / bought.totalMinor);
  }, 0);
  const entries: JournalEntry[] = [
    { account: "sales_returns", amountMinor: returned.refundMinor - taxMinor, currency },
    { account: "tax_payable", amountMinor: taxMinor, currency },
    { account: "refunds_payable", amountMinor: -returned.refundMinor, currency },
  ];
  return {
    id: returned.id as string as JournalId,
    kind: "order.returned",
    description: order ? `Return of order ${order.number}` : "Return without receipt",
    reference: returned.orderId ? `order:${returned.orderId}` : `return:${returned.id}`,
    occurredAt,
    entries,
  };
}
