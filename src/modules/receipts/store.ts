import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";

/** Adds a receipt. @returns whether it is new: a second one for an order is left out */
export async function insertReceipt(
  tx: TenantTx,
  orderId: string,
  document: string,
): Promise<boolean> {
  const added = await tx.run(sql("receipts.insert")`
    insert into receipts (tenant_id, order_id, document)
    values (${tx.tenantId}, ${orderId}, ${document})
    on conflict do nothing`);
  return added === 1;
}
