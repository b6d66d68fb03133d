import pg from "pg";
import { systemContext } from "../../src/kernel/context.ts";
import { newId, type TenantId } from "../../src/kernel/ids.ts";
import { ok } from "../../src/kernel/result.ts";
import { migrationLines } from "../../src/migration-lines.ts";
import { ordersFailureStatuses } from "../../src/modules/orders/contract.ts";
import { createOrders, orderRoutes } from "../../src/modules/orders/index.ts";
import { seedOrders } from "../../src/modules/orders/seed.fixture.ts";
import { createDb } from "../../src/platform/db/db.ts";
import { migrate } from "../../src/platform/db/migrate.ts";
import { roleUrls } from "../../src/platform/db/roles.ts";
import type { StatementReport } from "../../src/platform/db/transaction.ts";
import { createHealth } from "../../src/platform/http/health.ts";
import { createMetrics } from "../../src/platform/http/metrics.ts";
import { createHttpServer } from "../../src/platform/http/server.ts";
import { createUnitOfWork } from "../../src/platform/idempotency/unit-of-work.ts";
import { startBenchServer } from "../harness.ts";

/** How many orders to sell before the bench. */
export interface ShopPlan {
  /** Orders of the tenant that is measured. */
  readonly orders: number;
  /** Tenants, that one included; the others have `otherOrders` each. */
  readonly tenants: number;
  readonly otherOrders: number;
  readonly withLines: boolean;
  readonly log: (line: string) => void;
}

/** Customers of the measured tenant. */
export const customers = 50_000;

/** Starts a durable server with a year of orders, and the HTTP operations of orders in front. */
export async function openOrdersShop(plan: ShopPlan) {
  const postgres = await startBenchServer();
  await migrate({ ownerUrl: postgres.url, home: true, schemas: ["shared"], lines: migrationLines });
  const owner = new pg.Client({ connectionString: postgres.url });
  await owner.connect();
  const tenantId = newId<"tenant">() as TenantId;
  const startedAt = performance.now();
  const { withLines } = plan;
  await seedOrders(owner, { tenantId, orders: plan.orders, months: 12, customers, withLines });
  for (let other = 1; other < plan.tenants; other++) {
    const size = { orders: plan.otherOrders, months: 12, customers: 400 };
    await seedOrders(owner, { tenantId: newId(), ...size, withLines: false });
  }
  await owner.query("vacuum (analyze) shared.orders, shared.order_lines");
  await owner.query("checkpoint");
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  plan.log(`${plan.orders} orders in one of ${plan.tenants} tenants, seeded in ${seconds} s`);

  const statements: StatementReport[] = [];
  const counting = { on: false };
  const db = createDb({
    urlsOf: () => roleUrls(postgres.url),
    placementOf: async () => ({ database: "home", schema: "shared" }),
    onStatement: (report) => {
      if (counting.on) statements.push(report);
    },
  });
  const orders = createOrders({ db, work: createUnitOfWork(db), clock: () => new Date() });
  const actor = { kind: "api_key", id: "bench" } as const;
  const server = await createHttpServer({
    routes: orderRoutes(orders),
    authenticate: () => ok({ kind: "secret", tenantId, actor, permissions: ["*"] }),
    health: createHealth([]),
    metrics: createMetrics(),
    info: { title: "Orders", version: "1" },
    failureStatuses: ordersFailureStatuses,
    limits: { ratePerMinute: 0, loopDelayMaxMs: 0 },
  });
  const { url } = await server.listen({ port: 0 });
  return {
    owner,
    db,
    orders,
    server,
    url,
    tenantId,
    ctx: systemContext(tenantId, "bench"),
    statements,
    counting,
    async stop() {
      await server.close();
      await db.stop();
      await owner.end();
      await postgres.stop();
    },
  };
}

/** A shop under measurement. */
export type OrdersShop = Awaited<ReturnType<typeof openOrdersShop>>;
