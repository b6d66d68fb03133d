import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import { appendEvents, type EventOrigin } from "../../platform/events/events.ts";
import type { InventoryEvents, Location, LocationFailure } from "./contract.ts";

/** Adds a location inside the caller's transaction; the same one again is a repeat. */
export async function createLocation(
  tx: TenantTx,
  origin: EventOrigin,
  location: Location,
): Promise<Result<Location, LocationFailure>> {
  const { id, code, name, priority, active } = location;
  const added = await tx.run(sql("inventory.create_location")`
    insert into stock_locations (tenant_id, id, code, name, priority, active)
    values (${tx.tenantId}, ${id}, ${code}, ${name}, ${priority}, ${active})
    on conflict do nothing`);
  if (added === 0) {
    const same = await tx.maybe(sql("inventory.same_location")`
      select 1 from stock_locations
      where tenant_id = ${tx.tenantId} and id = ${id} and code = ${code}`);
    return same ? ok(location) : fail({ code: "inventory.location_taken", taken: code });
  }
  const data: InventoryEvents["inventory.location_created"] = { locationId: id, code };
  const stream = `stock_location:${id}`;
  appendEvents(tx, origin, [{ type: "inventory.location_created", version: 1, stream, data }]);
  return ok(location);
}

/** Most locations of a tenant that are listed. */
export const locationsMax = 1_000;

/** All locations, first asked first. */
export function listLocations(tx: TenantTx): Promise<Location[]> {
  return tx.rows<Location>(sql("inventory.list_locations")`
    select id, code, name, priority, active from stock_locations
    where tenant_id = ${tx.tenantId} order by priority, id limit ${locationsMax}`);
}
