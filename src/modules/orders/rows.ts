import { fragment } from "../../platform/db/sql.ts";
import type {
  Order,
  OrderAddress,
  OrderId,
  OrderLine,
  OrderShippingMethod,
  OrderStatus,
  OrderSummary,
} from "./contract.ts";

/** Columns of an {@link OrderSummaryRow}. */
export const orderSummaryColumns = fragment`id, number, status, version, currency, subtotal_minor,
  discount_minor, shipping_minor, tax_minor, total_minor, refunded_minor, price_includes_tax,
  item_quantity, customer_id, email, external_reference, placed_at, updated_at`;

/** An order as lists read it. */
export interface OrderSummaryRow {
  readonly id: OrderId;
  readonly number: number;
  readonly status: OrderStatus;
  readonly version: number;
  readonly currency: string;
  readonly subtotal_minor: number;
  readonly discount_minor: number;
  readonly shipping_minor: number;
  readonly tax_minor: number;
  readonly total_minor: number;
  readonly refunded_minor: number;
  readonly price_includes_tax: boolean;
  readonly item_quantity: number;
  readonly customer_id: string | null;
  readonly email: string | null;
  readonly external_reference: string | null;
  readonly placed_at: Date;
  readonly updated_at: Date;
}

/** A whole order, without its lines. */
export interface OrderRow extends OrderSummaryRow {
  readonly shipping_address: OrderAddress | null;
  readonly billing_address: OrderAddress | null;
  readonly shipping_method: OrderShippingMethod | null;
  readonly coupon_codes: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Columns of an {@link OrderLineRow}. */
export const orderLineColumns = fragment`order_id, line_no, variant_id, sku, title, quantity,
  unit_price_minor, unit_price_exact, discount_minor, tax_minor, total_minor, fulfilled_quantity,
  returned_quantity, returned_minor`;

/** An order's line. */
export interface OrderLineRow {
  readonly order_id: OrderId;
  readonly line_no: number;
  readonly variant_id: string | null;
  readonly sku: string;
  readonly title: string;
  readonly quantity: number;
  readonly unit_price_minor: number;
  readonly unit_price_exact: string | null;
  readonly discount_minor: number;
  readonly tax_minor: number;
  readonly total_minor: number;
  readonly fulfilled_quantity: number;
  readonly returned_quantity: number;
  readonly returned_minor: number;
}

/** Names a row's columns as the contract does. */
export function toOrderSummary(row: OrderSummaryRow): OrderSummary {
  return {
    id: row.id,
    number: row.number,
    status: row.status,
    version: row.version,
    currency: row.currency,
    totalMinor: row.total_minor,
    refundedMinor: row.refunded_minor,
    customerId: row.customer_id,
    totals: {
      subtotalMinor: row.subtotal_minor,
      discountMinor: row.discount_minor,
      shippingMinor: row.shipping_minor,
      taxMinor: row.tax_minor,
      totalMinor: row.total_minor,
    },
    priceIncludesTax: row.price_includes_tax,
    itemQuantity: row.item_quantity,
    email: row.email,
    externalReference: row.external_reference,
    placedAt: row.placed_at,
    updatedAt: row.updated_at,
  };
}

/** Names a row's columns as the contract does, and adds the order's lines. */
export function toOrder(row: OrderRow, lines: readonly OrderLine[]): Order {
  return {
    ...toOrderSummary(row),
    shippingAddress: row.shipping_address,
    billingAddress: row.billing_address,
    shippingMethod: row.shipping_method,
    couponCodes: row.coupon_codes,
    metadata: row.metadata,
    lines,
  };
}

/** Names a row's columns as the contract does. */
export function toOrderLine(row: OrderLineRow): OrderLine {
  return {
    lineNo: row.line_no,
    variantId: row.variant_id,
    sku: row.sku,
    title: row.title,
    quantity: row.quantity,
    unitPriceMinor: row.unit_price_minor,
    ...(row.unit_price_exact === null ? {} : { unitPriceExact: row.unit_price_exact }),
    discountMinor: row.discount_minor,
    taxMinor: row.tax_minor,
    totalMinor: row.total_minor,
    fulfilledQuantity: row.fulfilled_quantity,
    returnedQuantity: row.returned_quantity,
    returnedMinor: row.returned_minor,
  };
}
