import { lowestIdAt, timeOfId } from "../../kernel/ids.ts";
import {
  type Fragment,
  fragment,
  joinFragments,
  type Statement,
  sql,
} from "../../platform/db/sql.ts";
import type { TenantTx } from "../../platform/db/transaction.ts";
import {
  type Fulfilment,
  type Order,
  type OrderId,
  type OrderLine,
  type OrderReturn,
  type OrderStatus,
  type OrderSummary,
  orderIdSkewMaxMs,
} from "./contract.ts";
import {
  type OrderLineRow,
  type OrderRow,
  type OrderSummaryRow,
  orderLineColumns,
  orderSummaryColumns,
  toOrder,
  toOrderLine,
  toOrderSummary,
} from "./rows.ts";
import { idBounds } from "./store.ts";
import { jsonOrder } from "./texts.ts";

/** Which orders a list shows; conditions left out do not narrow it. */
export interface OrderFilter {
  readonly status?: OrderStatus;
  readonly customerId?: string;
  /** Exactly this address, in any case. */
  readonly email?: string;
  readonly number?: number;
  readonly externalReference?: string;
  /** Placed at or after. */
  readonly placedFrom?: Date;
  /** Placed before. */
  readonly placedBefore?: Date;
}

/** Which part of a list, newest order first. */
export interface OrderSlice {
  /** 1 to 100. */
  readonly limit: number;
  /** Only orders older than this one. */
  readonly after?: OrderId;
  /** Orders to leave out first; for pages by number. */
  readonly offset?: number;
  readonly now: Date;
}

/**
 * Tells the planner of this transaction to walk along indexes and stop early, and to plan once for
 * all parameters. Left alone a prepared plan reckons with averages: for a customer with thousands
 * of orders, or a long range of time, it would fetch everything and sort; and planning anew for
 * each call costs more than a page. Every list has an index that ends in `id`.
 */
export function steerToIndexes(tx: TenantTx): void {
  tx.write(sql("orders.steer_to_indexes")`
    select set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true),
      set_config('enable_bitmapscan', 'off', true),
      set_config('plan_cache_mode', 'force_generic_plan', true)`);
}

/**
 * Lists orders without their lines, newest first, in one statement or two: lists that are dense in
 * time are looked up in the two months before their position first, which prunes all other months.
 * Call {@link steerToIndexes} before.
 *
 * @returns up to `limit + 1` orders: the last one tells that there are more
 */
export async function listOrderSummaries(
  tx: TenantTx,
  filter: OrderFilter,
  slice: OrderSlice,
): Promise<OrderSummary[]> {
  const list = { columns: orderSummaryColumns, filter, slice };
  return (await listRows<OrderSummaryRow>(tx, list)).map(toOrderSummary);
}

/** An order as JSON text. */
export interface OrderText {
  readonly id: OrderId;
  /** In the shape of `summaryBody`. */
  readonly json: string;
}

/** Like {@link listOrderSummaries}, as the JSON that HTTP shows, assembled by PostgreSQL. */
export function listOrderTexts(
  tx: TenantTx,
  filter: OrderFilter,
  slice: OrderSlice,
): Promise<OrderText[]> {
  return listRows(tx, { columns: fragment`id, ${jsonOrder} as json`, filter, slice });
}

interface OrderListing {
  readonly columns: Fragment;
  readonly filter: OrderFilter;
  readonly slice: OrderSlice;
}

async function listRows<Row>(
  tx: TenantTx,
  { columns, filter, slice }: OrderListing,
): Promise<Row[]> {
  const { after, limit, offset } = slice;
  const read = async (statement: Statement) => {
    const rows = await tx.rows<Row>(statement);
    return rows.slice(0, limit + 1);
  };
  if (offset) return read(offsetPage(tx, columns, conditions(tx, filter), { offset, limit }));
  if (isDense(filter)) {
    const recent = conditions(tx, filter, { after, from: recentFrom(slice) });
    const rows = await read(cursorPage(columns, recent, limit));
    if (rows.length > limit) return rows;
  }
  return read(cursorPage(columns, conditions(tx, filter, { after }), limit));
}

/** All orders, or those of a status: a page of these usually lies within a month. */
function isDense(filter: OrderFilter): boolean {
  const { status: _, ...others } = filter;
  return Object.values(others).every((value) => value === undefined);
}

/** The smallest id of the month before the one the slice begins in. */
function recentFrom({ after, now }: OrderSlice): string {
  const at = after ? timeOfId(after) : now;
  return lowestIdAt(new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() - 1, 1)));
}

function cursorPage(columns: Fragment, where: Fragment, limit: number) {
  return sql("orders.list")`
    select ${columns} from orders where ${where} order by id desc ${atMost(limit)}`;
}

/** Walks over the left-out orders in the index alone, then fetches the page's rows. */
function offsetPage(
  tx: TenantTx,
  columns: Fragment,
  where: Fragment,
  { offset, limit }: { readonly offset: number; readonly limit: number },
) {
  return sql("orders.list_offset")`
    with page as materialized (
      select id from orders where ${where} order by id desc offset ${offset} ${atMost(limit)})
    select ${columns} from orders
    where tenant_id = ${tx.tenantId} and id = any(array(select id from page))
      and id >= (select min(id::text)::uuid from page) and id <= (select max(id::text)::uuid from page)
    order by id desc`;
}

/**
 * The limit is part of the text, in three sizes: with a parameter the generic plan would reckon
 * with a tenth of the table.
 */
function atMost(limit: number): Fragment {
  if (limit <= 20) return fragment`limit 21`;
  return limit <= 50 ? fragment`limit 51` : fragment`limit 101`;
}

/** Counts the orders of a list; reads the whole index range, so only where asked. */
export async function countOrders(tx: TenantTx, filter: OrderFilter): Promise<number> {
  const row = await tx.one<{ count: number }>(sql("orders.count")`
    select count(*) as count from orders where ${conditions(tx, filter)}`);
  return row.count;
}

/** Bounds of ids beside a filter. */
export interface IdRange {
  /** Only ids below this one. */
  readonly after?: OrderId | undefined;
  /** Only ids from this one on. */
  readonly from?: string;
}

/** The conditions of a list, as one piece of SQL over `orders`. */
export function conditions(tx: TenantTx, filter: OrderFilter, range: IdRange = {}): Fragment {
  const parts = [fragment`tenant_id = ${tx.tenantId}`];
  if (filter.status) parts.push(fragment`status = ${filter.status}`);
  if (filter.customerId) parts.push(fragment`customer_id = ${filter.customerId}::uuid`);
  if (filter.email) parts.push(fragment`email = ${filter.email.toLowerCase()}`);
  if (filter.number !== undefined) parts.push(fragment`number = ${filter.number}`);
  if (filter.externalReference) {
    parts.push(fragment`external_reference = ${filter.externalReference}`);
  }
  if (range.after) parts.push(fragment`id < ${range.after}::uuid`);
  if (range.from) parts.push(fragment`id >= ${range.from}::uuid`);
  const { placedFrom, placedBefore } = filter;
  // An id carries its order's time, give or take the allowed skew: so a time range prunes months.
  if (placedFrom) {
    const low = lowestIdAt(new Date(placedFrom.getTime() - orderIdSkewMaxMs));
    parts.push(fragment`id >= ${low}::uuid and placed_at >= ${placedFrom}`);
  }
  if (placedBefore) {
    const high = lowestIdAt(new Date(placedBefore.getTime() + orderIdSkewMaxMs));
    parts.push(fragment`id < ${high}::uuid and placed_at < ${placedBefore}`);
  }
  return joinFragments(parts, " and ");
}

/** Reads the lines of some orders, by order; one statement. */
export async function listLines(
  tx: TenantTx,
  orderIds: readonly OrderId[],
): Promise<Map<OrderId, OrderLine[]>> {
  const byOrder = new Map<OrderId, OrderLine[]>(orderIds.map((id) => [id, []]));
  if (orderIds.length === 0) return byOrder;
  const { low, high } = idBounds(orderIds);
  const rows = await tx.rows<OrderLineRow>(sql("orders.list_lines")`
    select ${orderLineColumns} from order_lines
    where tenant_id = ${tx.tenantId} and order_id = any(${orderIds}::uuid[])
      and order_id >= ${low}::uuid and order_id <= ${high}::uuid
    order by order_id, line_no`);
  for (const row of rows) byOrder.get(row.order_id)?.push(toOrderLine(row));
  return byOrder;
}

/** Reads whole orders with their lines; two statements in one round trip. Unknown ids are missing. */
export async function findOrders(
  tx: TenantTx,
  ids: readonly OrderId[],
): Promise<Map<OrderId, Order>> {
  if (ids.length === 0) return new Map();
  const { low, high } = idBounds(ids);
  const reading = tx.rows<OrderRow>(sql("orders.find")`
    select ${orderSummaryColumns}, shipping_address, billing_address, shipping_method,
      coupon_codes, metadata
    from orders
    where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])
      and id >= ${low}::uuid and id <= ${high}::uuid`);
  const [rows, lines] = await Promise.all([reading, listLines(tx, ids)]);
  return new Map(rows.map((row) => [row.id, toOrder(row, lines.get(row.id) ?? [])]));
}

/** An order with what was sent and what came back. */
export interface OrderDetail {
  readonly order: Order;
  readonly fulfilments: readonly Fulfilment[];
  readonly returns: readonly OrderReturn[];
}

/** Reads one order with its lines, fulfilments and returns; one round trip. */
export async function findOrderDetail(
  tx: TenantTx,
  orderId: OrderId,
): Promise<OrderDetail | undefined> {
  const [orders, fulfilments, returns] = await Promise.all([
    findOrders(tx, [orderId]),
    listFulfilments(tx, orderId),
    listReturns(tx, orderId),
  ]);
  const order = orders.get(orderId);
  return order && { order, fulfilments, returns };
}

async function listFulfilments(tx: TenantTx, orderId: OrderId): Promise<Fulfilment[]> {
  return tx.rows<Fulfilment>(sql("orders.list_fulfilments")`
    select f.id, f.order_id as "orderId", f.carrier, f.tracking_code as "trackingCode",
      f.tracking_url as "trackingUrl", f.created_at as "createdAt",
      (select json_agg(json_build_object('lineNo', l.line_no, 'quantity', l.quantity)
         order by l.line_no)
       from fulfilment_lines l
       where l.tenant_id = f.tenant_id and l.fulfilment_id = f.id) as lines
    from fulfilments f
    where f.tenant_id = ${tx.tenantId} and f.order_id = ${orderId}::uuid
    order by f.id`);
}

async function listReturns(tx: TenantTx, orderId: OrderId): Promise<OrderReturn[]> {
  return tx.rows<OrderReturn>(sql("orders.list_returns")`
    select r.id, r.order_id as "orderId", r.customer_id as "customerId", r.currency,
      r.refund_minor as "refundMinor", r.reason, r.external_reference as "externalReference",
      r.created_at as "createdAt",
      (select json_agg(json_build_object('lineNo', l.line_no, 'orderLineNo', l.order_line_no,
         'variantId', l.variant_id, 'sku', l.sku, 'quantity', l.quantity,
         'refundMinor', l.refund_minor, 'restock', l.restock) order by l.line_no)
       from return_lines l
       where l.tenant_id = r.tenant_id and l.return_id = r.id) as lines
    from returns r
    where r.tenant_id = ${tx.tenantId} and r.order_id = ${orderId}::uuid
    order by r.id`);
}
