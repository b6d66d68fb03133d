import { systemContext } from "../src/kernel/context.ts";
import { newId, type TenantId } from "../src/kernel/ids.ts";
import { migrationLines } from "../src/migration-lines.ts";
import type { VariantId } from "../src/modules/catalog/contract.ts";
import type {
  LocationId,
  ReservationId,
  ReservationStrategy,
} from "../src/modules/inventory/contract.ts";
import { createInventory, inventoryInvariants } from "../src/modules/inventory/index.ts";
import { createCoalescer } from "../src/platform/coalescer/coalescer.ts";
import { createDb, type Db } from "../src/platform/db/db.ts";
import { migrate } from "../src/platform/db/migrate.ts";
import { roleUrls } from "../src/platform/db/roles.ts";
import { sql } from "../src/platform/db/sql.ts";
import { createUnitOfWork } from "../src/platform/idempotency/unit-of-work.ts";
import { type BenchOptions, type BenchResult, closedLoop, startBenchServer } from "./harness.ts";

const strategies: readonly ReservationStrategy[] = ["atomic", "optimistic", "pessimistic", "flash"];
const callersOf = [1, 32, 256] as const;
const variantCount = 1_000;
const plenty = 1_000_000_000;

interface Shop {
  readonly db: Db;
  readonly tenantId: TenantId;
  readonly variants: readonly VariantId[];
}

/** One way of reserving one unit of a variant; false when it was refused. */
type ReserveOne = (variantId: VariantId) => Promise<boolean>;

/**
 * Compares the reservation strategies on one hot SKU and spread over 1,000 SKUs, by 1, 32 and 256
 * callers. Every reservation is a durable row with an id of its own.
 */
export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const server = await startBenchServer();
  const shop = await openShop(server.url);
  try {
    return await measure(shop, { quick, log });
  } finally {
    await shop.db.stop();
    await server.stop();
  }
}

async function openShop(ownerUrl: string): Promise<Shop> {
  await migrate({ ownerUrl, home: true, schemas: ["shared"], lines: migrationLines });
  const db = createDb({
    urlsOf: () => roleUrls(ownerUrl),
    placementOf: async () => ({ database: "home", schema: "shared" }),
    poolLimits: { max: 16, acquireTimeoutMs: 30_000 },
  });
  const inventory = createInventory({ db, uow: createUnitOfWork(db) });
  const tenantId = newId<"tenant">();
  const ctx = systemContext(tenantId, "bench");
  const locationId = newId<"stock location">() as LocationId;
  const place = { id: locationId, code: "main", name: "Main", priority: 1, active: true };
  await inventory.createLocation(ctx, place);
  const variants = Array.from({ length: variantCount }, () => newId<"variant">() as VariantId);
  await inventory.setStock(
    ctx,
    variants.map((variantId) => ({ variantId, locationId, onHand: plenty })),
  );
  return { db, tenantId, variants };
}

async function measure(shop: Shop, { quick, log }: BenchOptions): Promise<BenchResult> {
  const durationMs = quick ? 1_200 : 4_000;
  const rows: Record<string, string | number>[] = [];
  const hot256: Record<string, number> = {};
  log("strategy     spread    callers   reservations/s   refused/s   p50 ms   p99 ms");
  const record = async (name: string, place: string, callers: number, reserve: ReserveOne) => {
    const pick = place === "hot" ? () => 0 : (index: number) => (index * 7_919) % variantCount;
    let refused = 0;
    const load = await closedLoop(callers, durationMs, async (index) => {
      const variantId = shop.variants[pick(index)] as VariantId;
      if (!(await reserve(variantId))) refused++;
    });
    const perSecond = Math.round((load.perSecond * (load.count - refused)) / load.count);
    const refusedPerSecond = load.perSecond - perSecond;
    const { p50, p99 } = load;
    rows.push({ strategy: name, place, callers, perSecond, refusedPerSecond, p50, p99 });
    if (place === "hot" && callers === 256) hot256[name] = perSecond;
    const cells = [place.padEnd(9), callers, perSecond, refusedPerSecond, p50, p99];
    log([name.padEnd(12), ...cells.map((cell) => String(cell).padStart(9))].join(" "));
  };
  for (const strategy of strategies) {
    for (const place of ["spread", "hot"]) {
      for (const callers of callersOf) {
        await record(strategy, place, callers, reserveBy(shop, strategy));
      }
    }
  }
  await record("raw counter", "hot", 256, rawCounter(shop));
  await verify(shop);
  const { flash: ours = 0, "raw counter": limit = 0, ...peers } = hot256;
  const best = Math.max(...Object.values(peers));
  return {
    bench: "reservation",
    ours,
    unit: "flash-sale reservations/s on one hot SKU, 256 callers",
    peers,
    ratio: Math.round((ours / best) * 10) / 10,
    limit,
    ofLimit: Math.round((ours / limit) * 100) / 100,
    rows,
    notes: [
      "raw counter: coalesced updates of one row, without reservation rows, events or results",
    ],
  };
}

function reserveBy({ db, tenantId }: Shop, strategy: ReservationStrategy): ReserveOne {
  const inventory = createInventory({ db, uow: createUnitOfWork(db) });
  const ctx = systemContext(tenantId, "bench");
  return async (variantId) => {
    const id = newId<"reservation">() as ReservationId;
    const request = { id, lines: [{ variantId, quantity: 1 }], ttlMs: 900_000 };
    const outcome = await inventory.reserve(ctx, request, strategy);
    return outcome.ok;
  };
}

/** The practical limit: callers share one conditional update and nothing else is written. */
function rawCounter({ db, tenantId }: Shop): ReserveOne {
  const coalescer = createCoalescer<VariantId, boolean>({
    name: "bench.counter",
    batchMax: 250,
    inFlightMax: 2,
    waitingMax: 10_000,
    run: async (_, items) => {
      const units = items.length;
      let counted: Promise<number> | undefined;
      await db.commit(tenantId, async (tx) => {
        counted = tx.run(sql("bench.count")`
          update stock set version = version + ${units}
          where tenant_id = ${tenantId} and variant_id = ${items[0]} and reserved + ${units}::int <= on_hand`);
      });
      const done = (await counted) === 1;
      return items.map(() => done);
    },
  });
  return (variantId) => coalescer.submit("counter", variantId);
}

/** A figure of a run that oversold would be worth nothing. */
async function verify({ db, tenantId }: Shop): Promise<void> {
  await db.read(
    tenantId,
    async (tx) => {
      for (const { id, sql: text } of inventoryInvariants) {
        const broken = await tx.rows({ name: "", text, values: [] });
        if (broken.length > 0) throw new Error(`${id}: ${JSON.stringify(broken[0])}`);
      }
    },
    { statementTimeoutMs: 60_000 },
  );
}

if (import.meta.main) {
  const { rows: _, ...result } = await run({
    quick: process.argv.includes("--quick"),
    log: (line) => console.error(line),
  });
  console.log(JSON.stringify(result));
}
