import type { ServerResponse } from "node:http";
import { seededCustomer } from "../src/modules/orders/seed.fixture.ts";
import { type BenchOptions, type BenchResult, round, summarise } from "./harness.ts";
import type { GetLoop } from "./load/get-loop.ts";
import { type HttpLoadReport, inOwnProcess } from "./load/http-load.ts";
import { customers, type OrdersShop, openOrdersShop } from "./load/orders-shop.ts";

const clients = 16;
const pageSize = 20;

/**
 * Lists orders of a big tenant among others over HTTP: 16 clients of another process in a closed
 * loop. A latency is what the server sees, from the request's head to the end of the answer.
 */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const orders = quick ? 200_000 : 1_000_000;
  const shop = await openOrdersShop({
    orders,
    tenants: 50,
    otherOrders: quick ? 1_000 : 4_000,
    withLines: false,
    log,
  });
  try {
    const scansBefore = await sequentialScans(shop);
    const lists = await listsOf(shop);
    const rows = [];
    for (const [name, paths] of Object.entries(lists)) {
      await load(shop, paths, quick ? 500 : 1_500);
      const row = { list: name, ...(await measure(shop, paths, quick ? 2_000 : 6_000)) };
      log(`${name}: p99 ${row["p99 ms"]} ms, ${row["pages/s"]} pages/s`);
      rows.push(row);
    }
    const ours = Math.max(...rows.map((row) => row["p99 ms"]));
    return {
      bench: "orders-list",
      ours,
      unit: "ms, worst p99 in the server at 16 clients",
      peers: {},
      ratio: null,
      limit: null,
      ofLimit: null,
      rows,
      notes: [
        `${orders} orders in one tenant among 50, spread over 12 monthly partitions`,
        `sequential scans of orders during the run: ${(await sequentialScans(shop)) - scansBefore}`,
      ],
    };
  } finally {
    await shop.stop();
  }
}

async function listsOf({ orders, ctx }: OrdersShop): Promise<Record<string, string[]>> {
  let cursor: string | undefined;
  for (let page = 1; page < 1_000; page++) {
    const found = await orders.list(ctx, { filter: {}, limit: pageSize, cursor });
    if (!found.ok) throw new Error(found.failure.code);
    cursor = found.value.nextCursor;
  }
  const some = Array.from({ length: 1_000 }, (_, index) => (index * 7_919) % customers);
  return {
    "first page": ["/v1/orders"],
    "page 1,000": [`/v1/orders?cursor=${cursor}`],
    "by status": ["/v1/orders?status=confirmed"],
    "by customer": some.map((k) => `/v1/orders?customerId=${seededCustomer(k)}`),
    "with lines": ["/v1/orders?withLines=true"],
  };
}

function load({ url }: OrdersShop, paths: string[], durationMs: number): Promise<HttpLoadReport> {
  return inOwnProcess<GetLoop, HttpLoadReport>(new URL("./load/get-loop.ts", import.meta.url), {
    origin: url,
    clients,
    durationMs,
    paths,
    headers: { authorization: "Bearer sk_bench" },
  });
}

async function measure(shop: OrdersShop, paths: string[], durationMs: number) {
  const latencies: number[] = [];
  const watch = (_: unknown, response: ServerResponse) => {
    const at = performance.now();
    response.once("finish", () => latencies.push(performance.now() - at));
  };
  shop.server.raw.prependListener("request", watch);
  shop.statements.length = 0;
  shop.counting.on = true;
  const seen = await load(shop, paths, durationMs);
  shop.counting.on = false;
  shop.server.raw.removeListener("request", watch);
  if (seen.errors > 0) throw new Error(`${seen.errors} errors, the first: ${seen.firstError}`);
  const report = summarise(latencies, durationMs);
  const selects = shop.statements.filter(({ name }) => /^orders\.list/.test(name)).length;
  return {
    "pages/s": seen.perSecond,
    "p50 ms": report.p50,
    "p99 ms": report.p99,
    "p99 ms at the client": seen.p99,
    "statements per page": round(selects / seen.count),
  };
}

async function sequentialScans({ owner }: OrdersShop): Promise<number> {
  const { rows } = await owner.query(
    `select sum(seq_scan)::integer as scans from pg_stat_user_tables
     where relname like 'orders_y%' or relname = 'orders_default'`,
  );
  return rows[0].scans;
}
