import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import type { Cart, CartId } from "./contract.ts";

interface CartRow {
  readonly id: CartId;
  readonly status: Cart["status"];
  readonly currency: string;
  readonly lines: Cart["lines"];
  readonly email: string | null;
  readonly customer_id: string | null;
  readonly shipping_address: Cart["shippingAddress"];
  readonly billing_address: Cart["billingAddress"];
  readonly shipping_method_id: string | null;
  readonly coupon_codes: string[];
  readonly order_id: string | null;
  readonly version: number;
}

/** Locks carts in the order of their ids. @returns those that exist */
export async function lockCarts(
  tx: TenantTx,
  ids: readonly CartId[],
): Promise<ReadonlyMap<CartId, Cart>> {
  const rows = await tx.rows<CartRow>(sql("carts.lock")`
    select id, status, currency, lines, email, customer_id, shipping_address, billing_address,
      shipping_method_id, coupon_codes, order_id, version
    from carts
    where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])
    order by id for update`);
  return new Map(rows.map((row) => [row.id, toCart(row)]));
}

/** Finds one cart. */
export async function findCart(tx: TenantTx, id: CartId): Promise<Cart | undefined> {
  const row = await tx.maybe<CartRow>(sql("carts.find")`
    select id, status, currency, lines, email, customer_id, shipping_address, billing_address,
      shipping_method_id, coupon_codes, order_id, version
    from carts where tenant_id = ${tx.tenantId} and id = ${id}`);
  return row && toCart(row);
}

/** Writes carts, new and changed, with the commit. */
export function saveCarts(tx: TenantTx, carts: readonly Cart[]): void {
  if (carts.length === 0) return;
  const document = JSON.stringify(carts.map(toDocument));
  tx.write(sql("carts.save")`
    insert into carts (tenant_id, id, status, currency, lines, email, customer_id, shipping_address,
      billing_address, shipping_method_id, coupon_codes, order_id, version)
    select ${tx.tenantId}, c.id, c.status, c.currency, c.lines, c.email, c.customer_id,
      c.shipping_address, c.billing_address, c.shipping_method_id, c.coupon_codes, c.order_id,
      c.version
    from jsonb_to_recordset(${document}::jsonb) as c (id uuid, status text, currency text,
      lines jsonb, email text, customer_id uuid, shipping_address jsonb, billing_address jsonb,
      shipping_method_id uuid, coupon_codes text[], order_id uuid, version integer)
    on conflict (tenant_id, id) do update set
      status = excluded.status, lines = excluded.lines, email = excluded.email,
      customer_id = excluded.customer_id, shipping_address = excluded.shipping_address,
      billing_address = excluded.billing_address,
      shipping_method_id = excluded.shipping_method_id, coupon_codes = excluded.coupon_codes,
      order_id = excluded.order_id, version = excluded.version, updated_at = now()`);
}

/** Marks locked carts as ordered, with the commit. */
export function markOrdered(
  tx: TenantTx,
  pairs: readonly { readonly cart: Cart; readonly orderId: string }[],
): void {
  if (pairs.length === 0) return;
  const ids = pairs.map(({ cart }) => cart.id);
  // The ids a second time: joined alone, a plan of few rows known beforehand reads the whole table.
  tx.write(sql("carts.mark_ordered")`
    update carts set status = 'ordered', order_id = o.order_id, version = o.version,
      updated_at = now()
    from unnest(${ids}::uuid[], ${pairs.map(({ orderId }) => orderId)}::uuid[],
      ${pairs.map(({ cart }) => cart.version + 1)}::int[]) as o (id, order_id, version)
    where carts.tenant_id = ${tx.tenantId} and carts.id = o.id and carts.id = any(${ids}::uuid[])`);
}

/** Opens ordered carts again, whose orders came to nothing; with the commit. */
export function reopenCarts(tx: TenantTx, orderIds: readonly string[]): void {
  if (orderIds.length === 0) return;
  tx.write(sql("carts.reopen")`
    update carts set status = 'open', order_id = null, version = version + 1, updated_at = now()
    where tenant_id = ${tx.tenantId} and order_id = any(${orderIds}::uuid[])
      and status = 'ordered'`);
}

/** Deletes a batch of open carts nobody touched for a while. @returns how many */
export function deleteOldCarts(tx: TenantTx, before: Date, limit: number): Promise<number> {
  return tx.run(sql("carts.delete_old")`
    delete from carts where tenant_id = ${tx.tenantId} and id in (
      select id from carts
      where tenant_id = ${tx.tenantId} and status = 'open' and updated_at < ${before}
      order by updated_at limit ${limit} for update skip locked)`);
}

function toCart(row: CartRow): Cart {
  return {
    id: row.id,
    status: row.status,
    currency: row.currency,
    lines: row.lines,
    email: row.email,
    customerId: row.customer_id,
    shippingAddress: row.shipping_address,
    billingAddress: row.billing_address,
    shippingMethodId: row.shipping_method_id,
    couponCodes: row.coupon_codes,
    orderId: row.order_id,
    version: row.version,
  };
}

function toDocument(cart: Cart): Record<string, unknown> {
  return {
    id: cart.id,
    status: cart.status,
    currency: cart.currency,
    lines: cart.lines,
    email: cart.email,
    customer_id: cart.customerId,
    shipping_address: cart.shippingAddress,
    billing_address: cart.billingAddress,
    shipping_method_id: cart.shippingMethodId,
    coupon_codes: cart.couponCodes,
    order_id: cart.orderId,
    version: cart.version,
  };
}
