import { sql } from "../../platform/db/sql.ts";
import type { TenantTx } from "../../platform/db/transaction.ts";
import type { NewOrder, OrderId, OrderPatch, OrderState, OrderStatus } from "./contract.ts";

/** Columns of {@link OrderState}, as every statement that reads one names them. */
interface OrderStateRow {
  readonly id: OrderId;
  readonly number: number;
  readonly status: OrderStatus;
  readonly version: number;
  readonly currency: string;
  readonly total_minor: number;
  readonly refunded_minor: number;
  readonly customer_id: string | null;
}

/** The smallest and the largest of some ids: constant bounds that prune partitions. */
export function idBounds(ids: readonly string[]): { readonly low: string; readonly high: string } {
  let low = ids[0] ?? "";
  let high = low;
  for (const id of ids) {
    if (id < low) low = id;
    if (id > high) high = id;
  }
  return { low, high };
}

/** Locks orders in order of id and reads what decisions are taken on. Unknown ids are missing. */
export async function lockOrders(
  tx: TenantTx,
  ids: readonly OrderId[],
): Promise<Map<OrderId, OrderState>> {
  if (ids.length === 0) return new Map();
  const { low, high } = idBounds(ids);
  // The bounds prune partitions when the statement starts; an array parameter cannot.
  const rows = await tx.rows<OrderStateRow>(sql("orders.lock")`
    select id, number, status, version, currency, total_minor, refunded_minor, customer_id
    from orders
    where tenant_id = ${tx.tenantId} and id = any(${[...new Set(ids)]}::uuid[])
      and id >= ${low}::uuid and id <= ${high}::uuid
    order by id for update`);
  return new Map(rows.map((row) => [row.id, toState(row)]));
}

function toState(row: OrderStateRow): OrderState {
  return {
    id: row.id,
    number: row.number,
    status: row.status,
    version: row.version,
    currency: row.currency,
    totalMinor: row.total_minor,
    refundedMinor: row.refunded_minor,
    customerId: row.customer_id,
  };
}

/** Those of the ids that an order of the tenant has. */
export async function findOrderIds(tx: TenantTx, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const { low, high } = idBounds(ids);
  const rows = await tx.rows<{ id: string }>(sql("orders.find_ids")`
    select o.id from unnest(${ids}::uuid[]) as asked (id)
    cross join lateral (
      select id from orders
      where tenant_id = ${tx.tenantId} and id = asked.id
        and id >= ${low}::uuid and id <= ${high}::uuid
      offset 0) as o`);
  return new Set(rows.map((row) => row.id));
}

/** Adds orders, one statement for any number; travels with the next flight. */
export function insertOrderRows(tx: TenantTx, orders: readonly NewOrder[]): void {
  const placed = orders.map((order) => order.placedAt.toISOString());
  // unnest of arrays is a third faster than json_to_recordset here (28 and 37 µs an order).
  tx.write(sql("orders.insert")`
    insert into orders (tenant_id, id, number, status, currency, subtotal_minor, discount_minor,
      shipping_minor, tax_minor, total_minor, price_includes_tax, item_quantity, customer_id, email,
      external_reference, shipping_address, billing_address, shipping_method, coupon_codes, metadata,
      placed_at, updated_at)
    select ${tx.tenantId}::uuid, id, number, status, currency, subtotal, discount, shipping, tax,
      total, includes_tax, quantity, customer, email, reference, shipping_address, billing_address,
      method, case when coupons is null then '{}'
        else array(select jsonb_array_elements_text(coupons)) end,
      coalesce(metadata, '{}'), placed_at, placed_at
    from unnest(${orders.map((order) => order.id)}::uuid[],
      ${orders.map((order) => order.number)}::bigint[],
      ${orders.map((order) => order.status ?? "pending")}::text[],
      ${orders.map((order) => order.currency)}::text[],
      ${orders.map((order) => order.totals.subtotalMinor)}::bigint[],
      ${orders.map((order) => order.totals.discountMinor)}::bigint[],
      ${orders.map((order) => order.totals.shippingMinor)}::bigint[],
      ${orders.map((order) => order.totals.taxMinor)}::bigint[],
      ${orders.map((order) => order.totals.totalMinor)}::bigint[],
      ${orders.map((order) => order.priceIncludesTax)}::boolean[],
      ${orders.map(itemQuantity)}::integer[],
      ${orders.map((order) => order.customerId ?? null)}::uuid[],
      ${orders.map((order) => order.email?.toLowerCase() ?? null)}::text[],
      ${orders.map((order) => order.externalReference ?? null)}::text[],
      ${orders.map((order) => jsonOrNull(order.shippingAddress))}::jsonb[],
      ${orders.map((order) => jsonOrNull(order.billingAddress))}::jsonb[],
      ${orders.map((order) => jsonOrNull(order.shippingMethod))}::jsonb[],
      ${orders.map((order) => (order.couponCodes?.length ? JSON.stringify(order.couponCodes) : null))}::jsonb[],
      ${orders.map((order) => jsonOrNull(order.metadata))}::jsonb[],
      ${placed}::timestamptz[])
      as o (id, number, status, currency, subtotal, discount, shipping, tax, total, includes_tax,
        quantity, customer, email, reference, shipping_address, billing_address, method, coupons,
        metadata, placed_at)`);
}

/** Adds the lines of new orders, one statement for any number; travels with the next flight. */
export function insertLineRows(tx: TenantTx, orders: readonly NewOrder[]): void {
  const lines = orders.flatMap((order) =>
    order.lines.map((line, index) => ({ line, orderId: order.id, lineNo: index + 1 })),
  );
  tx.write(sql("orders.insert_lines")`
    insert into order_lines (tenant_id, order_id, line_no, variant_id, sku, title, quantity,
      unit_price_minor, unit_price_exact, discount_minor, tax_minor, total_minor)
    select ${tx.tenantId}::uuid, line.*
    from unnest(${lines.map(({ orderId }) => orderId)}::uuid[],
      ${lines.map(({ lineNo }) => lineNo)}::integer[],
      ${lines.map(({ line }) => line.variantId ?? null)}::uuid[],
      ${lines.map(({ line }) => line.sku)}::text[],
      ${lines.map(({ line }) => line.title)}::text[],
      ${lines.map(({ line }) => line.quantity)}::integer[],
      ${lines.map(({ line }) => line.unitPriceMinor)}::bigint[],
      ${lines.map(({ line }) => line.unitPriceExact ?? null)}::numeric[],
      ${lines.map(({ line }) => line.discountMinor)}::bigint[],
      ${lines.map(({ line }) => line.taxMinor)}::bigint[],
      ${lines.map(({ line }) => line.totalMinor)}::bigint[]) as line`);
}

function itemQuantity(order: NewOrder): number {
  return order.lines.reduce((sum, line) => sum + line.quantity, 0);
}

function jsonOrNull(value: object | null | undefined): string | null {
  return value ? JSON.stringify(value) : null;
}

/**
 * Has the statements of this transaction planned once for all parameters. Planning with thousands
 * of ids at hand took 100 to 280 ms a statement, and chose to read whole months.
 */
export function planForManyIds(tx: TenantTx): void {
  tx.write(sql("orders.plan_for_many_ids")`
    select set_config('plan_cache_mode', 'force_generic_plan', true)`);
}

/** An order's new state, and when it came to it; null is now, by the database's clock. */
export interface StateChange {
  readonly state: OrderState;
  readonly at: Date | undefined;
}

/**
 * Writes the states of orders that {@link lockOrders} returned; travels with the next flight. The
 * ids are named once more as an array: joined alone, thousands of them would be hashed against the
 * whole table.
 */
export function updateOrderStates(tx: TenantTx, changes: readonly StateChange[]): void {
  if (changes.length === 0) return;
  const states = changes.map((change) => change.state);
  const ids = states.map((state) => state.id);
  const { low, high } = idBounds(ids);
  tx.write(sql("orders.update_states")`
    update orders as o
    set status = n.status, version = n.version, refunded_minor = n.refunded_minor,
      updated_at = coalesce(n.at, now())
    from unnest(${ids}::uuid[], ${states.map((state) => state.status)}::text[],
      ${states.map((state) => state.version)}::integer[],
      ${states.map((state) => state.refundedMinor)}::bigint[],
      ${changes.map((change) => change.at?.toISOString() ?? null)}::timestamptz[])
      as n (id, status, version, refunded_minor, at)
    where o.tenant_id = ${tx.tenantId} and o.id = n.id and o.id = any(${ids}::uuid[])
      and o.id >= ${low}::uuid and o.id <= ${high}::uuid`);
}

/** Writes the edited fields of an order that {@link lockOrders} returned. */
export function updateOrderFields(tx: TenantTx, state: OrderState, patch: OrderPatch): void {
  const given = (field: keyof OrderPatch) => patch[field] !== undefined;
  tx.write(sql("orders.update_fields")`
    update orders
    set version = ${state.version}, updated_at = now(),
      email = case when ${given("email")} then ${patch.email?.toLowerCase() ?? null} else email end,
      shipping_address = case when ${given("shippingAddress")}
        then ${jsonOrNull(patch.shippingAddress)}::jsonb else shipping_address end,
      billing_address = case when ${given("billingAddress")}
        then ${jsonOrNull(patch.billingAddress)}::jsonb else billing_address end,
      metadata = case when ${given("metadata")}
        then coalesce(${jsonOrNull(patch.metadata)}::jsonb, '{}') else metadata end
    where tenant_id = ${tx.tenantId} and id = ${state.id}`);
}
