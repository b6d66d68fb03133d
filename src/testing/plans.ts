import pg from "pg";
import type { TenantId } from "../kernel/ids.ts";
import type { StatementReport } from "../platform/db/transaction.ts";

/** What to explain, and as whom. */
export interface PlanRequest {
  /** URL of the application role: row-level security shapes the plan. */
  readonly appUrl: string;
  readonly tenantId: TenantId;
  readonly statement: Pick<StatementReport, "text" | "values">;
}

/**
 * The plan PostgreSQL settles on for a prepared statement: the generic one, which does not know the
 * values. Nothing is run.
 *
 * @returns its lines
 */
export async function genericPlan({ appUrl, tenantId, statement }: PlanRequest): Promise<string> {
  const client = new pg.Client({ connectionString: appUrl });
  await client.connect();
  try {
    await client.query(
      "set search_path = shared, platform; set plan_cache_mode = force_generic_plan",
    );
    await client.query("select set_config('app.tenant', $1, false)", [tenantId]);
    await client.query(`prepare explained as ${statement.text}`);
    const values = statement.values.map((value) => literal(client, value));
    const given = values.length > 0 ? `(${values.join(", ")})` : "";
    const { rows } = await client.query(`explain execute explained${given}`);
    return rows.map((row) => row["QUERY PLAN"] as string).join("\n");
  } finally {
    await client.end();
  }
}

function literal(client: pg.Client, value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) {
    const items = value.map((item) => (item === null ? "NULL" : JSON.stringify(String(item))));
    return client.escapeLiteral(`{${items.join(",")}}`);
  }
  if (value instanceof Date) return client.escapeLiteral(value.toISOString());
  return client.escapeLiteral(String(value));
}
