import pg from "pg";
import type { TenantId } from "../../kernel/ids.ts";
import { toDbError } from "../../platform/db/errors.ts";
import type { Placements } from "../../platform/placement/placements.ts";
import { type TenantTable, tenantTables } from "./tables.ts";

/** Rows fetched at once: what memory holds of the export. */
const fetchSize = 500;

/** Bounds of an export's connection, milliseconds. */
export const exportLimits = { connectTimeoutMs: 5_000, queryTimeoutMs: 30_000 } as const;

/**
 * Everything the deployment holds of a tenant, as JSON lines: a header, one line per row of every
 * table, and a last line with the counts. All of one snapshot, and read as one tenant: what is
 * forgotten in a query here cannot be another's.
 *
 * @returns lines, newline included; stopping early lets go of the database
 */
export async function* exportTenant(
  placements: Placements,
  tenantId: TenantId,
): AsyncGenerator<string> {
  const place = await placements.find(tenantId);
  if (!place) return;
  const client = new pg.Client({
    // The application role: row-level security binds it, whatever a query forgets.
    connectionString: placements.urlsOf(place.database).app,
    application_name: "brandos/export",
    connectionTimeoutMillis: exportLimits.connectTimeoutMs,
    query_timeout: exportLimits.queryTimeoutMs,
  });
  // Between two pages nobody waits on it: an error without a listener would end the process.
  client.on("error", () => {});
  try {
    await client.connect();
    yield line({ export: "tenant", tenantId, format: 1, schema: place.schema });
    await client.query("begin isolation level repeatable read read only");
    await client.query("select set_config('app.tenant', $1, true)", [tenantId]);
    const counts: Record<string, number> = {};
    const withheld: string[] = [];
    for (const table of await tenantTables(client, place.schema)) {
      const name = `${table.schema}.${table.name}`;
      if (!table.readable) {
        withheld.push(name);
        continue;
      }
      counts[name] = 0;
      for await (const row of rowsOf(client, table, tenantId)) {
        counts[name]++;
        yield `{"table":${JSON.stringify(name)},"row":${row}}\n`;
      }
    }
    yield line({ end: true, counts, withheld });
  } catch (error) {
    throw toDbError(error, "tenants.export");
  } finally {
    // Ending the connection ends the snapshot, wherever the reader stopped.
    await client.end();
  }
}

async function* rowsOf(
  client: pg.Client,
  table: TenantTable,
  tenantId: TenantId,
): AsyncGenerator<string> {
  await client.query(
    `declare rows_to_export no scroll cursor for
     select row_to_json(t)::text as row from ${table.identifier} t where tenant_id = $1`,
    [tenantId],
  );
  for (;;) {
    const { rows } = await client.query(`fetch ${fetchSize} from rows_to_export`);
    for (const { row } of rows) yield row;
    if (rows.length < fetchSize) break;
  }
  await client.query("close rows_to_export");
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
