import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";

/** A receipt to keep. */
export interface NewReceipt {
  readonly orderId: string;
  readonly document: string;
}

/** Adds receipts. @returns orders whose receipt is new: a second one for an order is left out */
export async function insertReceipts(
  tx: TenantTx,
  receipts: readonly NewReceipt[],
): Promise<ReadonlySet<string>> {
  if (receipts.length === 0) return new Set();
  const rows = await tx.rows<{ order_id: string }>(sql("receipts.insert")`
    insert into receipts (tenant_id, order_id, document)
    select ${tx.tenantId}, r.* from unnest(${receipts.map(({ orderId }) => orderId)}::uuid[],
      ${receipts.map(({ document }) => document)}::text[]) r
    on conflict do nothing
    returning order_id`);
  return new Set(rows.map((row) => row.order_id));
}
