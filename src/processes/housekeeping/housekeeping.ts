import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { newId, type TenantId } from "../../kernel/ids.ts";
import type { Carts } from "../../modules/carts/index.ts";
import { expiryJob } from "../../modules/inventory/index.ts";
import { ledgerUpkeepJob } from "../../modules/ledger/index.ts";
import { sweepPaymentsJob } from "../../modules/payments/index.ts";
import type { Tenants } from "../../modules/tenants/index.ts";
import { deleteAppliedWrites } from "../../platform/cache/cache.ts";
import { deleteOldInvalidations } from "../../platform/cache/postgres-bus.ts";
import { deleteExpiredCacheEntries } from "../../platform/cache/postgres-tier.ts";
import type { Db } from "../../platform/db/db.ts";
import { ownerConnectTimeoutMs } from "../../platform/db/migrate.ts";
import { purgeIdempotencyKeys } from "../../platform/idempotency/keys.ts";
import {
  defineJob,
  type JobDefinition,
  type Jobs,
  type Schedule,
} from "../../platform/jobs/jobs.ts";
import { deleteOldLimits } from "../../platform/limits/limits.ts";
import {
  createLeadership,
  deleteOldLeases,
  type Leadership,
  type Locks,
} from "../../platform/locks/locks.ts";
import type { Placements } from "../../platform/placement/placements.ts";

/** Age from which an idempotency key is forgotten: longer than any client retries. */
const keyAgeMs = 3 * 24 * 60 * 60_000;
/** Age from which what caches were told is forgotten: longer than a node is away and still runs. */
const invalidationAgeMs = 60 * 60_000;
/** Age from which an open cart is forgotten. */
const cartAgeMs = 60 * 24 * 60 * 60_000;
const cartsPerBatch = 1_000;
/** Months of partitions made ahead. */
const monthsAhead = 3;

/** What housekeeping looks after. */
export interface HousekeepingDeps {
  readonly db: Db;
  readonly carts: Pick<Carts, "deleteOld">;
  readonly placements: Pick<Placements, "targets">;
}

const sweepCartsJob = "house.sweep_carts";

/** Jobs of housekeeping: what is too old goes. */
export function houseJobs({ carts }: Pick<HousekeepingDeps, "carts">): readonly JobDefinition[] {
  const sweep = defineJob({
    kind: sweepCartsJob,
    async handle({ ctx, signal }) {
      const before = new Date(Date.now() - cartAgeMs);
      for (;;) {
        const gone = await carts.deleteOld(ctx.tenantId, before, cartsPerBatch);
        if (gone < cartsPerBatch || signal.aborted) return;
      }
    },
  });
  return [sweep];
}

/** What every tenant has done for it on a clock; the names identify them, so setting is repeatable. */
const schedules: readonly Schedule[] = [
  scheduleOf("expire reservations", "*/10 * * * * *", expiryJob),
  scheduleOf("sweep payments", "*/30 * * * * *", sweepPaymentsJob),
  scheduleOf("close and seal the ledger", "*/5 * * * *", ledgerUpkeepJob),
  scheduleOf("sweep carts", "17 3 * * *", sweepCartsJob),
];

function scheduleOf(name: string, cron: string, kind: string): Schedule {
  return { name, cron, timeZone: "UTC", job: { kind, queue: "house", payload: {} } };
}

/** Sets the schedules of one tenant. */
export async function provisionTenant(jobs: Jobs, tenantId: TenantId): Promise<void> {
  const ctx = {
    tenantId,
    actor: { kind: "system", id: "housekeeping" },
    requestId: `provision-${newId()}`,
  } as const;
  const known = new Set((await jobs.schedules.list(ctx)).map(({ name }) => name));
  for (const schedule of schedules) {
    if (!known.has(schedule.name)) await jobs.schedules.put(ctx, schedule);
  }
}

/** Sets the schedules of every active tenant: at start, for those that came while we were away. */
export async function provisionTenants(jobs: Jobs, tenants: Pick<Tenants, "list">): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await tenants.list(cursor, 100);
    for (const { id, status } of page.items) {
      if (status === "active") await provisionTenant(jobs, id);
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

/** Time between two rounds of the housekeeper, milliseconds. */
const roundEveryMs = 60 * 60_000;

/**
 * Looks after what belongs to no tenant: makes partitions ahead, forgets old keys, leases and limits, when
 * it begins and every hour. One node does it for all; nothing of it is harmed by a second one that
 * does not know yet that it leads no more.
 */
export function createHousekeeper(
  { db, placements, locks }: Pick<HousekeepingDeps, "db" | "placements"> & { locks: Locks },
  onError: (error: unknown) => void,
): Leadership {
  const round = async (): Promise<void> => {
    for (const { database, ownerUrl, schemas } of await placements.targets()) {
      await ensurePartitions(ownerUrl, schemas, { from: new Date(), months: monthsAhead });
      await purgeIdempotencyKeys(db, database, { olderThanMs: keyAgeMs });
      await deleteOldLeases(db, database);
      await deleteOldInvalidations(db, database, { olderThanMs: invalidationAgeMs });
      await deleteExpiredCacheEntries(db, database);
      await deleteAppliedWrites(db, database);
      await deleteOldLimits(db, database);
    }
  };
  return createLeadership({
    locks,
    name: "housekeeping",
    onError,
    async lead({ signal }) {
      while (!signal.aborted) {
        await round().catch(onError);
        await delay(roundEveryMs, undefined, { signal, ref: false }).catch(() => {});
      }
    },
  });
}

/**
 * Makes the monthly partitions of every table that has them, as the owner.
 *
 * @param schemas tenant schemas of the database; the platform's own are always included
 */
export async function ensurePartitions(
  ownerUrl: string,
  schemas: readonly string[],
  range: { readonly from: Date; readonly months: number },
): Promise<void> {
  const client = new pg.Client({
    connectionString: ownerUrl,
    connectionTimeoutMillis: ownerConnectTimeoutMs,
  });
  // Without a listener an error between two statements would end the process.
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query("set lock_timeout = '5s'");
    await client.query(
      `select platform.ensure_month_partition(parent.oid::regclass,
         (date_trunc('month', $2::timestamptz) + make_interval(months => month))::date)
       from pg_class parent
       join pg_namespace home on home.oid = parent.relnamespace
       join pg_partitioned_table partitioned on partitioned.partrelid = parent.oid
       cross join generate_series(0, $3::int) as month
       where home.nspname = any($1::text[]) and partitioned.partstrat = 'r'`,
      [[...schemas, "platform"], range.from, range.months],
    );
  } finally {
    await client.end();
  }
}
