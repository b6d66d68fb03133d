import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import path from "node:path";
import { type BenchOptions, type BenchResult, round } from "./harness.ts";
import type { CheckoutLoad } from "./load/checkout-load.ts";
import { type CheckoutPeer, checkoutPeers, isInstalled, startPeer } from "./load/checkout-peers.ts";
import { type ServedShop, serveShop } from "./load/checkout-server.ts";
import { type HttpLoadReport, inOwnProcess } from "./load/http-load.ts";
import { machineBefore } from "./load/machine.ts";

const clientCounts = [1, 8, 32];
const mostClients = 32;
const smallCatalog = 100;
const largeCatalog = 10_000;

/** Figures of the last full run with both peers. */
const resultsFile = path.join(import.meta.dirname, "results", "checkout.json");

interface Row {
  readonly shop: string;
  readonly products: number;
  readonly clients: number;
  readonly "checkouts/s": number;
  readonly "p50 ms": number;
  readonly "p99 ms": number;
  readonly [column: string]: string | number;
}

interface KeptRun {
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  /** Load of the machine before the run, mean of a minute; near 0 when nothing else ran. */
  readonly loadBefore: number;
  readonly ours: number;
  readonly peers: Readonly<Record<string, number>>;
  readonly rows: readonly Row[];
}

/** Times of one run, milliseconds. */
interface Times {
  readonly warmUp: number;
  readonly ours: number;
  readonly peerWarmUp: number;
  readonly peer: number;
}

const fullTimes: Times = { warmUp: 3_000, ours: 10_000, peerWarmUp: 10_000, peer: 30_000 };
const quickTimes: Times = { warmUp: 1_500, ours: 2_000, peerWarmUp: 3_000, peer: 8_000 };

/**
 * Full checkouts over HTTP, each shop's in as few calls as its API offers; ours: a new cart of two
 * items with e-mail, address and shipping method, then payment and completion in one call. Shop, load
 * generator, payment simulator and database are processes of their own; Vendure and Medusa follow on
 * databases of the same server.
 */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const machine = machineBefore();
  const times = quick ? quickTimes : fullTimes;
  const rows: Row[] = [];
  const add = (row: Row) => {
    rows.push(row);
    log(`${row.shop}, ${row.products} products, ${row.clients} clients: ${row["checkouts/s"]}/s`);
  };
  const notes: string[] = [...machine.notes];
  const small = await serveShop(smallCatalog);
  try {
    for (const row of await measureOurs(small, times, clientCounts)) add(row);
    add(await measureThreeCalls(small, times));
    add(await measureSimulator(small, times));
    for (const peer of checkoutPeers) {
      if (isInstalled(peer)) {
        for (const row of await measurePeer(peer, small, { times, quick })) add(row);
      } else {
        notes.push(`${peer} left out, not installed: node bench/peers/install.ts ${peer}`);
      }
    }
  } finally {
    await small.stop();
  }
  const large = await serveShop(largeCatalog);
  try {
    const counts = quick ? [mostClients] : clientCounts;
    for (const row of await measureOurs(large, times, counts)) add(row);
  } finally {
    await large.stop();
  }
  const result = resultOf(rows, notes);
  if (!quick && Object.keys(result.peers).length === checkoutPeers.length) {
    keep(result, { rows, loadBefore: machine.load });
  }
  return result;
}

async function measureOurs(
  shop: ServedShop,
  times: Times,
  counts: readonly number[],
): Promise<readonly Row[]> {
  const load = { origin: shop.origin, target: ourTarget(shop, { provider: "manual" }) };
  const products = shop.variantIds.length;
  await sell({ ...load, clients: mostClients, durationMs: times.warmUp });
  const rows: Row[] = [];
  for (const clients of counts) {
    const report = await sell({ ...load, clients, durationMs: times.ours });
    rows.push(rowOf("BrandOS", products, clients, report));
  }
  return rows;
}

/** A buyer who chooses the shipping method after the cart was made needs a call more. */
async function measureThreeCalls(shop: ServedShop, times: Times): Promise<Row> {
  const target = { ...ourTarget(shop, { provider: "manual" }), choosesLater: true } as const;
  const load = { origin: shop.origin, target, clients: mostClients };
  const report = await sell({ ...load, durationMs: times.ours });
  return rowOf("BrandOS, in three calls", shop.variantIds.length, mostClients, report);
}

/** The bank is a process of its own: every payment is an HTTP call between two transactions. */
async function measureSimulator(shop: ServedShop, times: Times): Promise<Row> {
  const payment = { provider: "simulator", instrumentToken: "tok_test_approved" };
  const target = { ...ourTarget(shop, payment), choosesLater: true } as const;
  const load = { origin: shop.origin, target, clients: mostClients };
  await sell({ ...load, durationMs: times.warmUp / 2 });
  const report = await sell({ ...load, durationMs: times.ours });
  const name = "BrandOS, paid through the simulated bank";
  return rowOf(name, shop.variantIds.length, mostClients, report);
}

function ourTarget(shop: ServedShop, payment: { provider: string }) {
  const { publishableKey, variantIds, shippingMethodId } = shop;
  return { kind: "brandos", publishableKey, variantIds, shippingMethodId, payment } as const;
}

async function measurePeer(
  name: CheckoutPeer,
  { databaseUrl }: ServedShop,
  { times, quick }: { readonly times: Times; readonly quick: boolean },
): Promise<readonly Row[]> {
  const peer = await startPeer(name, { serverUrl: databaseUrl, products: smallCatalog });
  try {
    const load = { origin: peer.origin, target: peer.target };
    await sell({ ...load, clients: 8, durationMs: times.peerWarmUp });
    const rows: Row[] = [];
    for (const clients of quick ? [mostClients] : clientCounts) {
      const report = await sell({ ...load, clients, durationMs: times.peer });
      rows.push(rowOf(name, smallCatalog, clients, report));
    }
    return rows;
  } finally {
    await peer.stop();
  }
}

/** Buyers in a process of their own; a single wrong answer ends the bench. */
async function sell(load: CheckoutLoad): Promise<HttpLoadReport> {
  const file = new URL("./load/checkout-load.ts", import.meta.url);
  const report = await inOwnProcess<CheckoutLoad, HttpLoadReport>(file, load);
  if (report.errors > 0) {
    const { errors, firstError } = report;
    throw new Error(`${load.target.kind}: ${errors} wrong answers, the first: ${firstError}`);
  }
  return report;
}

function rowOf(shop: string, products: number, clients: number, report: HttpLoadReport): Row {
  return {
    shop,
    products,
    clients,
    "checkouts/s": report.perSecond,
    "p50 ms": report.p50,
    "p99 ms": report.p99,
  };
}

function resultOf(rows: readonly Row[], notes: readonly string[]): BenchResult {
  const at32 = (shop: string) =>
    rows.find((row) => row.shop === shop && row.clients === mostClients)?.["checkouts/s"];
  const ours = at32("BrandOS") ?? 0;
  const peers: Record<string, number> = {};
  for (const peer of checkoutPeers) {
    const figure = at32(peer);
    if (figure !== undefined) peers[peer] = figure;
  }
  const p99 = Math.max(
    ...rows
      .filter(({ shop, clients }) => shop === "BrandOS" && clients === mostClients)
      .map((row) => row["p99 ms"]),
  );
  const kept = Object.keys(peers).length === 0 ? readKept() : undefined;
  return {
    bench: "checkout",
    ours,
    unit: `checkouts/s at ${mostClients} clients and ${smallCatalog} products`,
    peers,
    ratio: kept ? ratioToBest(kept.ours, kept.peers) : ratioToBest(ours, peers),
    limit: null,
    ofLimit: null,
    rows,
    notes: [
      ...notes,
      ...Object.entries(peers).map(([peer, figure]) => `${round(ours / figure)} x ${peer}`),
      ...(kept
        ? [
            `the ratio is that of the last full run, not of this one: ${kept.date}, commit ` +
              `${kept.commit}, ours ${kept.ours}, peers ${JSON.stringify(kept.peers)}`,
          ]
        : []),
      `worst p99 of ours at ${mostClients} clients: ${p99} ms (to reach: 60 ms)`,
      "every order durable before its answer; 2 calls of ours (3 where it says so, and with the " +
        "simulated bank), 6 of Vendure's, 5 of Medusa's API",
    ],
  };
}

function ratioToBest(ours: number, peers: Readonly<Record<string, number>>): number | null {
  const figures = Object.values(peers);
  return figures.length === 0 ? null : round(ours / Math.max(...figures));
}

function readKept(): KeptRun | undefined {
  if (!existsSync(resultsFile)) return undefined;
  return JSON.parse(readFileSync(resultsFile, "utf8")) as KeptRun;
}

function keep(
  { ours, peers }: BenchResult,
  { rows, loadBefore }: { readonly rows: readonly Row[]; readonly loadBefore: number },
): void {
  const cpu = cpus();
  const kept: KeptRun = {
    date: new Date().toISOString().slice(0, 10),
    commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
    machine: `${cpu.length} x ${cpu[0]?.model ?? "cpu"}, node ${process.version}`,
    loadBefore,
    ours,
    peers,
    rows,
  };
  mkdirSync(path.dirname(resultsFile), { recursive: true });
  writeFileSync(resultsFile, `${JSON.stringify(kept, undefined, 2)}\n`);
}
