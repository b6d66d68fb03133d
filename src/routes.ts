import type { Commerce } from "./commerce.ts";
import { cartFailureStatuses } from "./modules/carts/contract.ts";
import { cartRoutes } from "./modules/carts/index.ts";
import { catalogFailureStatuses } from "./modules/catalog/contract.ts";
import { catalogRoutes } from "./modules/catalog/index.ts";
import { customerFailureStatuses } from "./modules/customers/contract.ts";
import { customerRoutes } from "./modules/customers/index.ts";
import { inventoryFailureStatuses } from "./modules/inventory/contract.ts";
import { inventoryRoutes } from "./modules/inventory/index.ts";
import { ledgerFailureStatuses } from "./modules/ledger/contract.ts";
import { ledgerRoutes } from "./modules/ledger/index.ts";
import { ordersFailureStatuses } from "./modules/orders/contract.ts";
import { orderRoutes } from "./modules/orders/index.ts";
import { paymentFailureStatuses } from "./modules/payments/contract.ts";
import { paymentRoutes } from "./modules/payments/index.ts";
import { promotionFailureStatuses } from "./modules/promotions/contract.ts";
import { promotionRoutes } from "./modules/promotions/index.ts";
import { receiptFailureStatuses } from "./modules/receipts/contract.ts";
import { receiptRoutes } from "./modules/receipts/index.ts";
import { shippingFailureStatuses } from "./modules/shipping/contract.ts";
import { shippingRoutes } from "./modules/shipping/index.ts";
import { taxFailureStatuses } from "./modules/tax/contract.ts";
import { taxRoutes } from "./modules/tax/index.ts";
import { tenantsFailureStatuses } from "./modules/tenants/contract.ts";
import type { Tenants } from "./modules/tenants/index.ts";
import { tenantsRoutes } from "./modules/tenants/routes.ts";
import type { Route } from "./platform/http/route.ts";
import { idempotencyFailureStatuses } from "./platform/idempotency/contract.ts";
import { checkoutFailureStatuses } from "./processes/checkout/contract.ts";
import { checkoutRoutes } from "./processes/checkout/index.ts";
import { operationsFailureStatuses } from "./processes/operations/contract.ts";
import type { Operations } from "./processes/operations/index.ts";
import { operationsRoutes } from "./processes/operations/routes.ts";

/** HTTP status of every failure of the product: each module's table is total by type. */
export const failureStatuses: Readonly<Record<string, number>> = {
  ...idempotencyFailureStatuses,
  ...tenantsFailureStatuses,
  ...ledgerFailureStatuses,
  ...catalogFailureStatuses,
  ...customerFailureStatuses,
  ...inventoryFailureStatuses,
  ...promotionFailureStatuses,
  ...shippingFailureStatuses,
  ...taxFailureStatuses,
  ...cartFailureStatuses,
  ...ordersFailureStatuses,
  ...paymentFailureStatuses,
  ...receiptFailureStatuses,
  ...checkoutFailureStatuses,
  ...operationsFailureStatuses,
};

/** What the HTTP API is made from. */
export interface RouteParts {
  readonly commerce: Commerce;
  readonly tenants: Tenants;
  readonly operations: Operations;
}

/** Every operation of the HTTP API. */
export function routesOf({ commerce, tenants, operations }: RouteParts): readonly Route[] {
  return [
    ...tenantsRoutes(tenants),
    ...catalogRoutes(commerce.catalog),
    ...customerRoutes(commerce.customers),
    ...inventoryRoutes(commerce.inventory),
    ...promotionRoutes(commerce.promotions),
    ...shippingRoutes(commerce.shipping),
    ...taxRoutes(commerce.tax),
    ...cartRoutes(commerce.carts),
    ...checkoutRoutes(commerce.checkout),
    // The story of an order is told by operations, which know payments, ledger, saga and jobs too.
    ...orderRoutes(commerce.orders).filter(({ operationId }) => operationId !== "getOrderTimeline"),
    ...receiptRoutes(commerce.db),
    ...paymentRoutes(commerce.payments),
    ...ledgerRoutes(commerce.ledger),
    ...operationsRoutes(operations),
  ];
}
