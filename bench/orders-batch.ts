import type { OrderChange, OrderId } from "../src/modules/orders/contract.ts";
import type { ExportFormat } from "../src/modules/orders/export.ts";
import { type BenchOptions, type BenchResult, round } from "./harness.ts";
import type { CountedLines, LineCount } from "./load/count-lines.ts";
import { inOwnProcess } from "./load/http-load.ts";
import { type OrdersShop, openOrdersShop } from "./load/orders-shop.ts";

const changesPerCall = 10_000;

/**
 * Changes 10,000 orders in one call, and streams all orders of a tenant: over HTTP, to a reader in
 * another process that counts lines.
 */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const count = quick ? 200_000 : 1_000_000;
  const shop = await openOrdersShop({
    orders: count,
    tenants: 3,
    otherOrders: 1_000,
    withLines: true,
    log,
  });
  try {
    const calls = [];
    for (const at of [0, 1, 2]) {
      const call = await changeOrders(shop, at);
      log(`call ${at + 1}: ${changesPerCall} orders over ${call.months} months in ${call.ms} ms`);
      calls.push(call);
    }
    const exports = [];
    for (const format of ["jsonl", "csv"] as const) {
      const made = await exportAll(shop, format);
      log(`${format}: ${made["orders/s"]} orders/s, ${made["MB/s"]} MB/s, +${made["RSS MB"]} MB`);
      if (made.orders !== count) throw new Error(`${made.orders} orders of ${count} exported`);
      exports.push(made);
    }
    return {
      bench: "orders-batch",
      ours: Math.max(...calls.map(({ ms }) => ms)),
      unit: `ms for ${changesPerCall} orders in one call`,
      peers: {},
      ratio: null,
      limit: null,
      ofLimit: null,
      rows: [
        ...calls.map(({ to, ms }) => ({ what: `10,000 orders to ${to}`, ms })),
        ...exports.map(({ format, ...row }) => ({ what: `export ${count} as ${format}`, ...row })),
      ],
      notes: [
        `exported ${count} orders; RSS is how much the server's process grew at most meanwhile`,
      ],
    };
  } finally {
    await shop.stop();
  }
}

/** Fulfils paid orders with their lines, then completes them, then cancels pending ones. */
async function changeOrders(shop: OrdersShop, at: number) {
  const { from, to } = [
    { from: "paid", to: "fulfilled" },
    { from: "fulfilled", to: "completed" },
    { from: "pending", to: "cancelled" },
  ][at] as { from: string; to: OrderChange["to"] };
  const { rows } = await shop.owner.query<{ id: OrderId; home: string }>(
    `select id, tableoid::regclass::text as home from shared.orders
     where tenant_id = $1 and status = $2 order by md5(id::text) limit $3`,
    [shop.tenantId, from, changesPerCall],
  );
  const body = JSON.stringify({ changes: rows.map(({ id }) => ({ orderId: id, to })) });
  const startedAt = performance.now();
  const response = await fetch(`${shop.url}/v1/orders/batch`, {
    method: "POST",
    headers: { authorization: "Bearer sk_bench", "content-type": "application/json" },
    body,
  });
  const outcome = (await response.json()) as { results: unknown[]; refused: number };
  const ms = round(performance.now() - startedAt);
  if (outcome.refused !== 0 || outcome.results?.length !== changesPerCall) {
    throw new Error(`the batch was not accepted: ${JSON.stringify(outcome).slice(0, 300)}`);
  }
  return { to, ms, months: new Set(rows.map(({ home }) => home)).size };
}

async function exportAll({ url }: OrdersShop, format: ExportFormat) {
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  const reader = new URL("./load/count-lines.ts", import.meta.url);
  const read = await inOwnProcess<LineCount, CountedLines>(reader, {
    url: `${url}/v1/orders/export?format=${format}`,
    headers: { authorization: "Bearer sk_bench" },
  });
  clearInterval(watch);
  const orders = format === "csv" ? read.lines - 1 : read.lines;
  return {
    format,
    orders,
    "orders/s": Math.round(orders / read.seconds),
    "MB/s": Math.round(read.bytes / read.seconds / 1e6),
    "RSS MB": Math.round((peak - before) / 1e6),
  };
}
