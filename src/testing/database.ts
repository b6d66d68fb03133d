import { createHash, randomBytes } from "node:crypto";
import os from "node:os";
import pg from "pg";
import { migrationLines } from "../migration-lines.ts";
import type { DatabaseUrls } from "../platform/db/db.ts";
import type { MigrationLine } from "../platform/db/migrate.ts";
import { roleUrls } from "../platform/db/roles.ts";
import { forgetTestServer, testServerUrl } from "./server.ts";
import { databaseUrl, dropAbandoned, ensureTemplate } from "./template.ts";

/** What a test database is made with. */
export interface TestDatabaseOptions {
  /** Migrations it is made by; all of the product's unless said otherwise. */
  readonly lines?: readonly MigrationLine[];
  /** False for an empty database, to migrate in the test itself. */
  readonly migrated?: boolean;
}

/** A database of one test file; nobody else uses it. */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  /** URL of the owner, who made the tables. A superuser: row-level security does not bind it. */
  readonly ownerUrl: string;
  /** URLs of the working roles, as the program uses them: bound by row-level security. */
  readonly urls: DatabaseUrls;
  /** Looks at the database as its owner, past row-level security. @returns the rows */
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Ends every connection and drops it. May be called twice. */
  drop(): Promise<void>;
}

// Processes of other machines may share the server, and their ids mean nothing here.
const host = createHash("sha256").update(os.hostname()).digest("hex").slice(0, 6);
const prefix = `brandos_test_${host}_`;
let prepared = false;

/**
 * Makes a migrated database of its own for a test file, as a copy of a template: 30 to 50 ms.
 *
 * Commits in it survive a kill of PostgreSQL. What dead test runs left is dropped on the way.
 * @throws MigrationError when a migration fails
 */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const name = `${prefix}${process.pid}_${randomBytes(5).toString("hex")}`;
  const adminUrl = await withAdmin(async (admin, url) => {
    if (!prepared) await dropAbandoned(admin, prefix);
    prepared = true;
    const migrated = options.migrated ?? true;
    const template = migrated
      ? await ensureTemplate(admin, url, options.lines ?? migrationLines)
      : "template0";
    await admin.query(`create database ${name} template ${template} strategy file_copy`);
    return url;
  });
  const ownerUrl = databaseUrl(adminUrl, name);
  let looking: Promise<pg.Client> | undefined;
  let dropped: Promise<void> | undefined;
  const drop = async () => {
    await (await looking)?.end();
    await withAdmin((admin) => admin.query(`drop database if exists ${name} with (force)`));
  };
  const dropOnce = () => {
    dropped ??= drop();
    return dropped;
  };
  return {
    name,
    ownerUrl,
    urls: roleUrls(ownerUrl),
    async query(text, values = []) {
      looking ??= connect(ownerUrl);
      return (await (await looking).query(text, [...values])).rows;
    },
    drop: dropOnce,
    [Symbol.asyncDispose]: dropOnce,
  };
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: "brandos-test" });
  // Tests kill servers; whoever uses the connection next gets the error.
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function withAdmin<Value>(
  work: (admin: pg.Client, url: string) => Promise<Value>,
): Promise<Value> {
  const [admin, url] = await connectAdmin();
  try {
    return await work(admin, url);
  } finally {
    await admin.end();
  }
}

async function connectAdmin(): Promise<readonly [pg.Client, string]> {
  const url = await testServerUrl();
  try {
    return [await connect(url), url];
  } catch {
    // The background server may have stopped between two uses: find it again, once.
    forgetTestServer();
    const again = await testServerUrl();
    return [await connect(again), again];
  }
}
