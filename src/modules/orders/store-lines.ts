import { sql } from "../../platform/db/sql.ts";
import type { TenantTx } from "../../platform/db/transaction.ts";
import type { Fulfilment, OrderId, OrderReturn } from "./contract.ts";
import type { LineState } from "./fulfilment.ts";
import { idBounds } from "./store.ts";

interface LineStateRow {
  readonly order_id: OrderId;
  readonly line_no: number;
  readonly variant_id: string | null;
  readonly sku: string;
  readonly quantity: number;
  readonly total_minor: number;
  readonly fulfilled_quantity: number;
  readonly returned_quantity: number;
  readonly returned_minor: number;
}

/** Reads the lines of orders whose rows the caller has locked, by order. */
export async function readLineStates(
  tx: TenantTx,
  orderIds: readonly OrderId[],
): Promise<Map<OrderId, LineState[]>> {
  const { low, high } = idBounds(orderIds);
  const rows = await tx.rows<LineStateRow>(sql("orders.read_line_states")`
    select order_id, line_no, variant_id, sku, quantity, total_minor, fulfilled_quantity,
      returned_quantity, returned_minor
    from order_lines
    where tenant_id = ${tx.tenantId} and order_id = any(${orderIds}::uuid[])
      and order_id >= ${low}::uuid and order_id <= ${high}::uuid
    order by order_id, line_no`);
  const byOrder = new Map<OrderId, LineState[]>();
  for (const row of rows) {
    const line: LineState = {
      orderId: row.order_id,
      lineNo: row.line_no,
      variantId: row.variant_id,
      sku: row.sku,
      quantity: row.quantity,
      totalMinor: row.total_minor,
      fulfilledQuantity: row.fulfilled_quantity,
      returnedQuantity: row.returned_quantity,
      returnedMinor: row.returned_minor,
    };
    const lines = byOrder.get(row.order_id);
    if (lines) lines.push(line);
    else byOrder.set(row.order_id, [line]);
  }
  return byOrder;
}

/** Writes what was sent and what came back, per line; travels with the next flight. */
export function updateLineStates(tx: TenantTx, lines: readonly LineState[]): void {
  if (lines.length === 0) return;
  const orderIds = lines.map((line) => line.orderId);
  const { low, high } = idBounds(orderIds);
  tx.write(sql("orders.update_line_states")`
    update order_lines as l
    set fulfilled_quantity = n.fulfilled, returned_quantity = n.returned,
      returned_minor = n.returned_minor
    from unnest(${orderIds}::uuid[], ${lines.map((line) => line.lineNo)}::integer[],
      ${lines.map((line) => line.fulfilledQuantity)}::integer[],
      ${lines.map((line) => line.returnedQuantity)}::integer[],
      ${lines.map((line) => line.returnedMinor)}::bigint[])
      as n (order_id, line_no, fulfilled, returned, returned_minor)
    where l.tenant_id = ${tx.tenantId} and l.order_id = n.order_id and l.line_no = n.line_no
      and l.order_id = any(${orderIds}::uuid[])
      and l.order_id >= ${low}::uuid and l.order_id <= ${high}::uuid`);
}

/** Marks everything open of some locked orders as sent; travels with the next flight. */
export function fulfilAllLines(tx: TenantTx, orderIds: readonly OrderId[]): void {
  if (orderIds.length === 0) return;
  const { low, high } = idBounds(orderIds);
  tx.write(sql("orders.fulfil_all_lines")`
    update order_lines
    set fulfilled_quantity =
      fulfilled_quantity + quantity - greatest(fulfilled_quantity, returned_quantity)
    where tenant_id = ${tx.tenantId} and order_id = any(${orderIds}::uuid[])
      and order_id >= ${low}::uuid and order_id <= ${high}::uuid`);
}

/** Those of the ids that a fulfilment of the tenant has already. */
export async function findFulfilmentIds(
  tx: TenantTx,
  ids: readonly string[],
): Promise<Set<string>> {
  const rows = await tx.rows<{ id: string }>(sql("orders.find_fulfilment_ids")`
    select id from fulfilments
    where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])`);
  return new Set(rows.map((row) => row.id));
}

/** Adds fulfilments with their lines; travels with the next flight. */
export function insertFulfilments(tx: TenantTx, made: readonly Fulfilment[]): void {
  if (made.length === 0) return;
  tx.write(sql("orders.insert_fulfilments")`
    insert into fulfilments
      (tenant_id, id, order_id, carrier, tracking_code, tracking_url, created_at)
    select ${tx.tenantId}::uuid, f.*
    from unnest(${made.map((one) => one.id)}::uuid[],
      ${made.map((one) => one.orderId)}::uuid[],
      ${made.map((one) => one.carrier)}::text[],
      ${made.map((one) => one.trackingCode)}::text[],
      ${made.map((one) => one.trackingUrl)}::text[],
      ${made.map((one) => one.createdAt.toISOString())}::timestamptz[]) as f`);
  const lines = made.flatMap((one) => one.lines.map((line) => ({ ...line, id: one.id })));
  tx.write(sql("orders.insert_fulfilment_lines")`
    insert into fulfilment_lines (tenant_id, fulfilment_id, line_no, quantity)
    select ${tx.tenantId}::uuid, l.*
    from unnest(${lines.map((line) => line.id)}::uuid[],
      ${lines.map((line) => line.lineNo)}::integer[],
      ${lines.map((line) => line.quantity)}::integer[]) as l`);
}

/** Those of the ids that a return of the tenant has already. */
export async function findReturnIds(tx: TenantTx, ids: readonly string[]): Promise<Set<string>> {
  const rows = await tx.rows<{ id: string }>(sql("orders.find_return_ids")`
    select id from returns
    where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])`);
  return new Set(rows.map((row) => row.id));
}

/** Adds returns with their lines; travels with the next flight. */
export function insertReturns(tx: TenantTx, made: readonly OrderReturn[]): void {
  if (made.length === 0) return;
  tx.write(sql("orders.insert_returns")`
    insert into returns (tenant_id, id, order_id, customer_id, currency, refund_minor, reason,
      external_reference, created_at)
    select ${tx.tenantId}::uuid, r.*
    from unnest(${made.map((one) => one.id)}::uuid[],
      ${made.map((one) => one.orderId ?? null)}::uuid[],
      ${made.map((one) => one.customerId ?? null)}::uuid[],
      ${made.map((one) => one.currency)}::text[],
      ${made.map((one) => one.refundMinor)}::bigint[],
      ${made.map((one) => one.reason)}::text[],
      ${made.map((one) => one.externalReference)}::text[],
      ${made.map((one) => one.createdAt.toISOString())}::timestamptz[]) as r`);
  const lines = made.flatMap((one) => one.lines.map((line) => ({ ...line, id: one.id })));
  tx.write(sql("orders.insert_return_lines")`
    insert into return_lines (tenant_id, return_id, line_no, order_line_no, variant_id, sku,
      quantity, refund_minor, restock)
    select ${tx.tenantId}::uuid, l.*
    from unnest(${lines.map((line) => line.id)}::uuid[],
      ${lines.map((line) => line.lineNo)}::integer[],
      ${lines.map((line) => line.orderLineNo)}::integer[],
      ${lines.map((line) => line.variantId ?? null)}::uuid[],
      ${lines.map((line) => line.sku)}::text[],
      ${lines.map((line) => line.quantity)}::integer[],
      ${lines.map((line) => line.refundMinor)}::bigint[],
      ${lines.map((line) => line.restock)}::boolean[]) as l`);
}
