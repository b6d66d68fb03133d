import { lowestIdAt } from "../../kernel/ids.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";

/** A brand at a glance, as of now. */
export interface Overview {
  /** Since midnight UTC, per currency. */
  readonly today: readonly {
    readonly currency: string;
    readonly orders: number;
    readonly revenueMinor: number;
  }[];
  /** Orders by status, of the last 30 days. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Orders placed in each of the last 60 minutes, oldest first. */
  readonly perMinute: readonly number[];
}

/** Reads a brand's figures: three statements in one round trip, each over a range of ids. */
export async function readOverview(tx: TenantTx): Promise<Overview> {
  const now = Date.now();
  const midnight = lowestIdAt(new Date(new Date(now).setUTCHours(0, 0, 0, 0)));
  const month = lowestIdAt(new Date(now - 30 * 86_400_000));
  const hour = lowestIdAt(new Date(now - 3_600_000));
  const [today, statuses, minutes] = await Promise.all([
    tx.rows<{ currency: string; orders: number; revenue: number }>(sql("operations.today")`
      select currency, count(*)::int as orders, sum(total_minor)::bigint as revenue
      from orders_view
      where tenant_id = ${tx.tenantId} and id >= ${midnight}::uuid and status <> 'cancelled'
      group by currency order by currency`),
    tx.rows<{ status: string; orders: number }>(sql("operations.statuses")`
      select status, count(*)::int as orders from orders_view
      where tenant_id = ${tx.tenantId} and id >= ${month}::uuid group by status`),
    tx.rows<{ minute: number; orders: number }>(sql("operations.minutes")`
      select floor(extract(epoch from now() - placed_at) / 60)::int as minute,
        count(*)::int as orders
      from orders_view where tenant_id = ${tx.tenantId} and id >= ${hour}::uuid
      group by 1`),
  ]);
  const byMinute = new Map(minutes.map(({ minute, orders }) => [minute, orders]));
  return {
    today: today.map(({ currency, orders, revenue }) => ({
      currency,
      orders,
      revenueMinor: revenue,
    })),
    statuses: Object.fromEntries(statuses.map(({ status, orders }) => [status, orders])),
    perMinute: Array.from({ length: 60 }, (_, index) => byMinute.get(59 - index) ?? 0),
  };
}
