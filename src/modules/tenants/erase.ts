import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import {
  type DirectoryEntry,
  homeDatabase,
  removePlacement,
  setPlacementState,
} from "../../platform/placement/placements.ts";
import { asOwner, unprovision } from "../../platform/placement/provision.ts";
import { forget, record, type TenantsDeps } from "./commands.ts";
import type { ChangeStatusFailure, ErasureReport, TenantNotFound } from "./contract.ts";
import { deleteApiKeys, deleteTenant, lockTenant, updateTenant } from "./store.ts";
import { inErasureOrder, type TenantTable, tenantTables } from "./tables.ts";

/** Rows deleted in one transaction: bounds its locks and its log. */
const batchSize = 10_000;

/**
 * Erases a suspended tenant: every row in every table that has a tenant, its schema or database,
 * its keys, its place in the directory. What remains is the log of who did it, and counts.
 *
 * Takes as long as there are rows; cut off, it goes on where it was when called again.
 */
export async function eraseTenant(
  deps: TenantsDeps,
  ctx: Context,
  tenantId: TenantId,
): Promise<Result<ErasureReport, ChangeStatusFailure>> {
  const begun = await beginErasure(deps, ctx, tenantId);
  if (!begun.ok) return begun;
  const place = await deps.placements.find(tenantId);
  // Other nodes may believe the placement a little longer: what they still write goes as well.
  if (place && deps.settleMs > 0) await delay(deps.settleMs, undefined, { ref: false });
  const rows = place ? await eraseRows(deps, place) : {};
  if (place) await unprovision(deps.placements, place);
  await deps.db.platform(
    homeDatabase,
    async (tx) => {
      deleteTenant(tx, tenantId);
      removePlacement(tx, tenantId);
      record(deps, tx, ctx, { tenantId, action: "erased", details: { rows } });
    },
    { name: "tenants.erased" },
  );
  forget(deps, tenantId);
  return ok({ tenantId, rows });
}

async function beginErasure(
  deps: TenantsDeps,
  ctx: Context,
  tenantId: TenantId,
): Promise<Result<undefined, ChangeStatusFailure | TenantNotFound>> {
  const begun = await deps.db.platform(
    homeDatabase,
    async (tx): Promise<Result<undefined, ChangeStatusFailure>> => {
      const tenant = await lockTenant(tx, tenantId);
      if (!tenant) return fail({ code: "tenants.not_found" });
      if (tenant.status === "erasing") return ok(undefined);
      if (tenant.status !== "suspended") {
        return fail({ code: "tenants.wrong_status", status: tenant.status });
      }
      updateTenant(tx, { ...tenant, status: "erasing" });
      deleteApiKeys(tx, tenantId);
      setPlacementState(tx, tenantId, "erasing");
      record(deps, tx, ctx, { tenantId, action: "erasing" });
      return ok(undefined);
    },
    { name: "tenants.erase" },
  );
  forget(deps, tenantId);
  return begun;
}

/** Counts what a schema or database of its own holds, deletes what is shared. */
async function eraseRows(
  deps: TenantsDeps,
  place: DirectoryEntry,
): Promise<Record<string, number>> {
  return asOwner(deps.placements.ownerUrlOf(place.database), async (client) => {
    // The owner is bound by forced row-level security as well: it acts for this tenant alone.
    await client.query("select set_config('app.tenant', $1, false)", [place.tenantId]);
    const tables = inErasureOrder(await tenantTables(client, place.schema));
    const counts: Record<string, number> = {};
    for (const table of tables) {
      const erased = await eraseTable(client, table, place.tenantId);
      if (erased > 0) counts[`${table.schema}.${table.name}`] = erased;
    }
    return counts;
  });
}

async function eraseTable(
  client: pg.Client,
  table: TenantTable,
  tenantId: TenantId,
): Promise<number> {
  const guards = await deleteTriggers(client, table);
  let erased = 0;
  for (;;) {
    await client.query("begin");
    try {
      // Append-only tables refuse a delete by trigger, even to their owner: lifted for this
      // transaction alone, which nobody else can see into.
      for (const guard of guards) {
        await client.query(`alter table ${table.identifier} disable trigger ${guard.name}`);
      }
      const { rowCount } = await client.query(
        `delete from ${table.identifier} where (tableoid, ctid) in
           (select tableoid, ctid from ${table.identifier} where tenant_id = $1 limit ${batchSize})
         and tenant_id = $1`,
        [tenantId],
      );
      for (const guard of guards) {
        await client.query(`alter table ${table.identifier} enable ${guard.mode} ${guard.name}`);
      }
      await client.query("commit");
      erased += rowCount ?? 0;
      if ((rowCount ?? 0) < batchSize) return erased;
    } catch (error) {
      await client.query("rollback");
      throw error;
    }
  }
}

interface DeleteTrigger {
  readonly name: string;
  /** How to enable it again as it was. */
  readonly mode: "trigger" | "always trigger" | "replica trigger";
}

const firesOnDelete = 8;

async function deleteTriggers(client: pg.Client, table: TenantTable): Promise<DeleteTrigger[]> {
  const { rows } = await client.query(
    `select quote_ident(tgname) as name,
       case tgenabled when 'A' then 'always trigger' when 'R' then 'replica trigger'
         else 'trigger' end as mode
     from pg_trigger where tgrelid = $1::regclass and not tgisinternal
       and tgenabled <> 'D' and tgtype & ${firesOnDelete} <> 0`,
    [table.identifier],
  );
  return rows;
}
