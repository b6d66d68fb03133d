import type { Clock } from "../../kernel/clock.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Result } from "../../kernel/result.ts";
import type { Carts } from "../../modules/carts/index.ts";
import type {
  ReservationId,
  ReservationRequest,
  ReserveFailure,
} from "../../modules/inventory/contract.ts";
import type { Journal } from "../../modules/ledger/contract.ts";
import type {
  Asked,
  NewOrder,
  Order,
  OrderChange,
  OrderId,
  OrderState,
  TransitionFailure,
} from "../../modules/orders/contract.ts";
import type { NewPayment, Payments } from "../../modules/payments/contract.ts";
import type { Redemption, RedemptionFailure } from "../../modules/promotions/contract.ts";
import type { BatchReport } from "../../platform/coalescer/coalescer.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import type { SagaDefinition, Sagas } from "../../platform/sagas/sagas.ts";
import type { CheckoutOutcome, PayOrder } from "./contract.ts";

/**
 * What checkout needs of the modules: each function takes a whole batch inside the caller's
 * transaction. `app.ts` provides them.
 */
export interface CheckoutDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly carts: Carts;
  readonly payments: Payments;
  /** Names of the payment providers. */
  readonly providers: ReadonlySet<string>;
  /** Providers that settle in this process, without a call to anywhere: no saga is needed. */
  readonly instantProviders: ReadonlySet<string>;
  readonly sagas: Sagas;
  /** The payment saga; null while it is being defined. */
  readonly payOrder: SagaDefinition<PayOrder, CheckoutOutcome> | null;
  readonly takeNumbers: (tenantId: TenantId, count: number) => Promise<readonly number[]>;
  /** An order as it stands. */
  readonly findOrder: (tenantId: TenantId, id: OrderId) => Promise<Order | undefined>;
  /** Whether an id made by a caller carries about the moment the order is placed at. */
  readonly idFits: (id: OrderId, placedAt: Date) => boolean;
  /** Which of these orders exist already. */
  readonly findOrderIds: (tx: TenantTx, ids: readonly string[]) => Promise<ReadonlySet<string>>;
  readonly createPayments: (tx: TenantTx, payments: readonly Asked<NewPayment>[]) => void;
  readonly insertOrders: (tx: TenantTx, orders: readonly Asked<NewOrder>[]) => void;
  readonly transitionOrders: (
    tx: TenantTx,
    changes: readonly Asked<OrderChange>[],
  ) => Promise<readonly Result<OrderState, TransitionFailure>[]>;
  /** One result per request, in order; what is `sold` is committed at once. */
  readonly reserveStock: (
    tx: TenantTx,
    requests: readonly (Asked<ReservationRequest> & { readonly sold: boolean })[],
  ) => Promise<readonly Result<unknown, ReserveFailure>[]>;
  readonly commitReservations: (
    tx: TenantTx,
    ids: readonly Asked<ReservationId>[],
  ) => Promise<unknown>;
  readonly releaseReservations: (
    tx: TenantTx,
    ids: readonly Asked<ReservationId>[],
  ) => Promise<unknown>;
  readonly redeemPromotions: (
    tx: TenantTx,
    redemptions: readonly Asked<Redemption>[],
  ) => Promise<readonly Result<unknown, RedemptionFailure>[]>;
  /** Ids of the customers with these addresses, made where missing; in order. */
  readonly upsertGuests: (
    tx: TenantTx,
    guests: readonly Asked<{ readonly email: string; readonly name: string | null }>[],
  ) => Promise<readonly string[]>;
  readonly postJournals: (tx: TenantTx, journals: readonly Asked<Journal>[]) => void;
  readonly onBatch?: (report: BatchReport) => void;
}

export type { Asked } from "../../modules/orders/contract.ts";
