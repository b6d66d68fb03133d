import type { Clock } from "./kernel/clock.ts";
import { createCarts } from "./modules/carts/index.ts";
import { type CacheWiring, createCatalog, createQuoteCache } from "./modules/catalog/index.ts";
import { unitPriceOf } from "./modules/catalog/quote.ts";
import { type Customers, createCustomers } from "./modules/customers/index.ts";
import type { ReservationId } from "./modules/inventory/contract.ts";
import {
  adjustStock,
  commitReservations,
  createInventory,
  listLocations,
  releaseReservations,
  reserveEach,
} from "./modules/inventory/index.ts";
import type { Journal } from "./modules/ledger/contract.ts";
import { createLedger, postJournals } from "./modules/ledger/index.ts";
import { reverseJournals } from "./modules/ledger/reverse.ts";
import type { OrderId } from "./modules/orders/contract.ts";
import {
  createOrders,
  findOrderIds,
  findOrders,
  idFits,
  insertOrders,
  recordRefunds,
  transitionOrders,
} from "./modules/orders/index.ts";
import type { Payments } from "./modules/payments/contract.ts";
import { createPayments } from "./modules/payments/index.ts";
import type { PaymentProvider } from "./modules/payments/provider.ts";
import { applyPromotions } from "./modules/promotions/apply.ts";
import { createPromotions, type Promotions } from "./modules/promotions/index.ts";
import { createShipping } from "./modules/shipping/index.ts";
import { quoteShipping } from "./modules/shipping/quote.ts";
import { createTax } from "./modules/tax/index.ts";
import { quoteTax } from "./modules/tax/quote.ts";
import type { BatchReport } from "./platform/coalescer/coalescer.ts";
import type { Db } from "./platform/db/db.ts";
import type { Failpoint } from "./platform/db/failpoints.ts";
import { type EventOrigin, jointOrigin } from "./platform/events/events.ts";
import { createUnitOfWork } from "./platform/idempotency/unit-of-work.ts";
import type { Sagas } from "./platform/sagas/sagas.ts";
import {
  type Asked,
  type Checkout,
  type CheckoutDeps,
  createCheckout,
} from "./processes/checkout/index.ts";
import {
  cancelOrders,
  type RefundDeps,
  takeReturns,
  undoOrders,
} from "./processes/refunds/effects.ts";
import { definePayBack, followRefunds } from "./processes/refunds/pay-back.ts";

/** What the shop's modules stand on. */
export interface CommerceDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly sagas: Sagas;
  readonly providers: readonly PaymentProvider[];
  /** Names of those providers that settle in this process. */
  readonly instantProviders: ReadonlySet<string>;
  readonly onBatch?: (report: BatchReport) => void;
  /** How what shops read is shared between nodes; default: not. */
  readonly caching?: CacheWiring;
  /** Called at named places, so that tests can stop the process there. */
  readonly failpoint?: Failpoint;
}

/** The business modules and the flows over them, wired together. */
export type Commerce = ReturnType<typeof createCommerce>;

/**
 * Builds the business modules and the flows over them, and registers the sagas. Read from top to
 * bottom: what stands above does not know what stands below.
 */
export function createCommerce(deps: CommerceDeps) {
  const { db, clock, sagas } = deps;
  const uow = createUnitOfWork(db);
  const batches = deps.onBatch ? { onBatch: deps.onBatch } : {};
  const ledger = createLedger({ db, uow, ...batches });
  const catalog = createCatalog({ db, ...(deps.caching ? { cache: deps.caching } : {}) });
  const customers = createCustomers({ db, clock });
  const inventory = createInventory({ db, uow, ...batches });
  const promotions = createPromotions({ db });
  const shipping = createShipping({ db });
  const tax = createTax({ db });
  const carts = createCarts({
    db,
    clock,
    rules: { unitPriceOf, applyPromotions, quoteShipping, quoteTax },
    source: {
      quoteVariants: createQuoteCache({ quotesMax: 100_000 }),
      loadPromotions: promotions.loadPromotions,
      shippingTable: shipping.shippingTable,
      taxTable: tax.taxTable,
    },
    ...batches,
  });
  // Payments move orders and orders move payments: the one that comes first meets the other late.
  const late: { checkout?: Checkout } = {};
  const payments = createPayments({
    db,
    clock,
    uow,
    providers: deps.providers,
    ...(deps.failpoint ? { failpoint: deps.failpoint } : {}),
    postJournals: (tx, rows) => postJournals(tx, rows.map(asOfOrigin)),
    async onAdvanced(tx, origin, advances) {
      await late.checkout?.onPaymentsAdvanced(tx, origin, advances);
      await followRefunds(recordRefunds, tx, origin, advances);
    },
  });
  const refunds = refundDeps(deps, payments, promotions);
  const orders = createOrders({
    db,
    work: uow,
    clock,
    effects: {
      onCancelled: (tx, cancelled) => cancelOrders(refunds, tx, cancelled),
      onReturned: (tx, returned) => takeReturns(refunds, tx, returned),
    },
  });
  const checkout = createCheckout({
    db,
    clock,
    sagas,
    ...batches,
    providers: new Set(deps.providers.map(({ name }) => name)),
    instantProviders: deps.instantProviders,
    ...checkoutDeps({ db, refunds, payments, promotions, customers }),
    carts,
    payments,
    takeNumbers: orders.numbers.take,
  });
  late.checkout = checkout;
  sagas.register(checkout.payOrder as never, refunds.payBack as never);
  const modules = { ledger, catalog, customers, inventory, promotions, shipping, tax };
  const flows = { carts, payments, orders, checkout };
  return { db, clock, uow, sagas, ...modules, ...flows, stop: catalog.shop.stop };
}

function refundDeps(
  { clock, sagas }: CommerceDeps,
  payments: Payments,
  promotions: Promotions,
): RefundDeps {
  return {
    clock,
    sagas,
    payBack: definePayBack(payments),
    releaseReservations,
    adjustStock,
    async defaultLocation(tx) {
      const locations = (await listLocations(tx)).filter(({ active }) => active);
      return locations.toSorted((a, b) => a.priority - b.priority)[0]?.id;
    },
    releasePromotions: promotions.releaseRedemptions,
    findOrders,
    postJournals,
    reverseJournals,
  };
}

type ModuleFunction =
  | "idFits"
  | "findOrder"
  | "findOrderIds"
  | "insertOrders"
  | "transitionOrders"
  | "createPayments"
  | "reserveStock"
  | "commitReservations"
  | "releaseReservations"
  | "redeemPromotions"
  | "upsertGuests"
  | "postJournals";

/** The functions of the modules that placing and paying orders use inside shared transactions. */
function checkoutDeps(parts: {
  readonly db: Db;
  readonly refunds: RefundDeps;
  readonly payments: Payments;
  readonly promotions: Promotions;
  readonly customers: Customers;
}): Pick<CheckoutDeps, ModuleFunction> {
  const { db, refunds, payments, promotions, customers } = parts;
  return {
    findOrder: (tenantId, id) =>
      db.read(tenantId, async (tx) => (await findOrders(tx, [id])).get(id), {
        name: "checkout.find_order",
      }),
    idFits,
    findOrderIds: async (tx, ids) => new Set<string>(await findOrderIds(tx, ids as OrderId[])),
    insertOrders,
    transitionOrders: (tx, changes) =>
      transitionOrders(tx, changes, {
        onCancelled: (inner, cancelled) => undoOrders(refunds, inner, cancelled),
      }),
    createPayments: (tx, asked) => {
      if (asked.length === 0) return;
      const origin = originOfAll(asked, ({ id }) => `payment:${id}`);
      payments.createPayments(tx, origin, itemsOf(asked));
    },
    reserveStock: (tx, asked) =>
      reserveEach(
        tx,
        asked.map(({ origin, item, sold }) => ({ origin, request: item, sold })),
      ),
    commitReservations: (tx, asked) =>
      commitReservations(tx, originOfAll(asked, reservationStream), itemsOf(asked)),
    releaseReservations: (tx, asked) =>
      releaseReservations(tx, originOfAll(asked, reservationStream), itemsOf(asked)),
    redeemPromotions: (tx, asked) =>
      promotions.redeemCoupons(
        tx,
        asked.map(({ origin, item }) => ({ ...item, origin })),
      ),
    upsertGuests: (tx, asked) =>
      customers.upsertGuests(
        tx,
        originOfAll(asked, ({ email }) => email),
        itemsOf(asked),
      ),
    postJournals: (tx, asked) =>
      postJournals(
        tx,
        asked.map(({ origin, item }) => ({ origin, journal: item })),
      ),
  };
}

function reservationStream(id: ReservationId): string {
  return `reservation:${id}`;
}

function itemsOf<Item>(asked: readonly Asked<Item>[]): readonly Item[] {
  return asked.map(({ item }) => item);
}

function originOfAll<Item>(
  asked: readonly Asked<Item>[],
  streamOf: (item: Item) => string,
): EventOrigin {
  return jointOrigin(asked.map(({ origin, item }) => ({ origin, stream: streamOf(item) })));
}

/** Imported history is posted as of the moment it happened. */
function asOfOrigin<Row extends { readonly origin: EventOrigin; readonly journal: Journal }>(
  row: Row,
): Row {
  const { occurredAt } = row.origin;
  return occurredAt ? { ...row, journal: { ...row.journal, occurredAt } } : row;
}
