import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import { newId, type TenantId } from "../src/kernel/ids.ts";
import { createDb, type Db } from "../src/platform/db/db.ts";
import { type MigrationLine, migrate } from "../src/platform/db/migrate.ts";
import { roleUrls } from "../src/platform/db/roles.ts";
import { startEmbeddedPostgres } from "../src/platform/embedded/embedded.ts";
import { eventsTopic } from "../src/platform/events/events.ts";
import { jobTopics } from "../src/platform/jobs/job.ts";
import { createWakeup, type Wakeup } from "../src/platform/wakeup/wakeup.ts";

/** A PostgreSQL of an example's own, with the platform's tables and no commerce. */
export interface Playground extends AsyncDisposable {
  readonly db: Db;
  /** Some tenant: every row belongs to one. */
  readonly tenantId: TenantId;
  /** Tells workers of new jobs and events; started. */
  readonly wakeup: Wakeup;
}

/** Owners of the tables that mechanisms need; an application adds its own lines. */
const lines: readonly MigrationLine[] = [
  "db",
  "events",
  "jobs",
  "sagas",
  "idempotency",
  "locks",
  "cache",
  "limits",
].map((name) => ({
  name: `platform/${name}`,
  scope: "platform",
  folder: path.join(import.meta.dirname, "../src/platform", name, "migrations"),
}));

/**
 * Starts PostgreSQL in a temporary folder and makes the example's own tables in it. Disposing of it
 * stops the server and removes the folder.
 *
 * @param tables SQL of the example's tables; each calls `platform.protect_tenant_table`
 */
export async function openPlayground(tables: string): Promise<Playground> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "brandos-example-"));
  const server = await startEmbeddedPostgres({
    dataDir: path.join(folder, "postgres"),
    // What is thrown away in ten seconds need not survive a power cut.
    settings: { fsync: false, max_wal_size: "512MB" },
  });
  await migrate({ ownerUrl: server.url, home: true, schemas: ["shared"], lines });
  await createTables(server.url, tables);
  const urls = roleUrls(server.url);
  const db = createDb({
    urlsOf: () => urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  const wakeup = createWakeup({ url: urls.platform, topics: [...jobTopics, eventsTopic] });
  await wakeup.start();
  return {
    db,
    tenantId: newId<"tenant">(),
    wakeup,
    async [Symbol.asyncDispose]() {
      await wakeup.stop();
      await db.stop();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function createTables(ownerUrl: string, tables: string): Promise<void> {
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  try {
    await owner.query("set search_path = shared, platform");
    await owner.query(tables);
  } finally {
    await owner.end();
  }
}

/** Writes a line for whoever watches. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
