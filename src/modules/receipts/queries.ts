import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";

/** Finds the receipt of an order. */
export async function findReceipt(tx: TenantTx, orderId: string): Promise<string | undefined> {
  const row = await tx.maybe<{ document: string }>(sql("receipts.find")`
    select document from receipts where tenant_id = ${tx.tenantId} and order_id = ${orderId}`);
  return row?.document;
}
