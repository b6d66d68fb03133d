import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { createLocks, type Lock } from "../locks/locks.ts";
import { createMigrationLeaseStore, migrationLease, showsLastToken } from "./migration-lease.ts";
import { prepareRoles, prepareTenantSchema, roleNames } from "./roles.ts";

/** Where the tables of a line live: the home database only, each database, or each tenant schema. */
export type MigrationScope = "control" | "platform" | "tenant";

/** One owner's ordered SQL files. */
export interface MigrationLine {
  /** Folder below `src`: `platform/events`, `modules/orders`. */
  readonly name: string;
  readonly scope: MigrationScope;
  /** Absolute path of the folder of `*.sql` files. */
  readonly folder: string;
}

/** What to bring up to date. */
export interface MigrationTarget {
  /** Address of the database as its owner. */
  readonly ownerUrl: string;
  /** Whether this is the home database, which has the control tables. */
  readonly home: boolean;
  /** Tenant schemas in it: `shared` and any `t_…`. */
  readonly schemas: readonly string[];
  /** Lines in order of dependency. */
  readonly lines: readonly MigrationLine[];
  readonly onApplied?: (migration: string) => void;
  /** How long a process that dies or is paused while it migrates keeps others waiting; default 30,000. */
  readonly leaseMs?: number;
}

/** A migration that was refused, changed or left half done; the message says what to do. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
}

/** First line of a file that must run outside a transaction, `create index concurrently`. */
const withoutTransaction = /^-- brandos: no transaction/;
const leaseDefaultMs = 30_000;

/** Longest the owner's connections take to be made, milliseconds: a silent server is an error, too. */
export const ownerConnectTimeoutMs = 10_000;

/**
 * Applies what is missing, under one lock per database; a second process waits and finds it done. One
 * that is paused in the middle is overtaken when its lease has ended, and refused when it goes on.
 *
 * Each file runs in a transaction of its own and is remembered with its checksum.
 * @returns what it applied, `schema:line/file`, in order
 * @throws MigrationError when an applied file has changed, an earlier run stopped half-way, or
 *   another process took over
 */
export async function migrate(target: MigrationTarget): Promise<string[]> {
  const { leaseMs = leaseDefaultMs } = target;
  const [client, leaseClient] = [connectTo(target), connectTo(target)];
  try {
    await Promise.all([client.connect(), leaseClient.connect()]);
    const store = await createMigrationLeaseStore(leaseClient);
    const locks = createLocks({ store, pollMs: 50 });
    return await locks.withLock(migrationLease, { leaseMs }, async (lock) => {
      // A transaction in which nothing is said for so long is one of a process that was paused.
      await client.query("select set_config('idle_in_transaction_session_timeout', $1, false)", [
        String(leaseMs),
      ]);
      return migrateUnder(lock, client, target);
    });
  } finally {
    await Promise.allSettled([client.end(), leaseClient.end()]);
  }
}

function connectTo({ ownerUrl }: MigrationTarget): pg.Client {
  const client = new pg.Client({
    connectionString: ownerUrl,
    connectionTimeoutMillis: ownerConnectTimeoutMs,
  });
  // Whoever waits for an answer is told as well; without a listener it would end the process.
  client.on("error", () => {});
  return client;
}

async function migrateUnder(
  lock: Lock,
  client: pg.Client,
  target: MigrationTarget,
): Promise<string[]> {
  await prepareRoles(client, target.ownerUrl);
  const { app, platform } = roleNames;
  await client.query(`revoke all on platform.migration_lease from ${app}, ${platform}`);
  await client.query(`create table if not exists platform.migrations (
      schema text, line text, file text, sha256 text not null,
      started_at timestamptz not null default now(), applied_at timestamptz,
      primary key (schema, line, file))`);
  const applied: string[] = [];
  for (const schema of target.schemas) await prepareTenantSchema(client, schema);
  for (const line of target.lines) {
    for (const schema of schemasOf(line, target)) {
      const run = { client, lock, line, schema };
      applied.push(...(await migrateLine(run, target.onApplied)));
    }
  }
  return applied;
}

function schemasOf(line: MigrationLine, target: MigrationTarget): readonly string[] {
  if (line.scope === "tenant") return target.schemas;
  if (line.scope === "platform") return ["platform"];
  return target.home ? ["control"] : [];
}

interface Run {
  readonly client: pg.Client;
  readonly lock: Lock;
  readonly line: MigrationLine;
  readonly schema: string;
}

async function migrateLine(run: Run, onApplied?: (name: string) => void): Promise<string[]> {
  const { rows } = await run.client.query(
    "select file, sha256, applied_at from platform.migrations where schema = $1 and line = $2",
    [run.schema, run.line.name],
  );
  const known = new Map(rows.map((row) => [row.file as string, row]));
  const applied: string[] = [];
  for (const file of migrationFiles(run.line)) {
    const label = `${run.schema}:${run.line.name}/${file}`;
    const text = readFileSync(path.join(run.line.folder, file), "utf8");
    const sha256 = createHash("sha256").update(text).digest("hex");
    const before = known.get(file);
    if (before && before.applied_at === null) {
      throw new MigrationError(
        `migration ${label} was started and never finished; look at what it left behind, ` +
          "complete or undo it, then delete its row from platform.migrations",
      );
    }
    if (before && before.sha256 !== sha256) {
      throw new MigrationError(
        `migration ${label} changed after it was applied; restore the file and add a new one`,
      );
    }
    if (before) continue;
    await apply(run, { file, text, sha256 });
    onApplied?.(label);
    applied.push(label);
  }
  return applied;
}

/** The files of a line in order. */
export function migrationFiles(line: MigrationLine): string[] {
  return readdirSync(line.folder)
    .filter((name) => name.endsWith(".sql"))
    .sort();
}

interface MigrationFile {
  readonly file: string;
  readonly text: string;
  readonly sha256: string;
}

async function apply(run: Run, migration: MigrationFile): Promise<void> {
  const { client, lock, line, schema } = run;
  const key = [schema, line.name, migration.file];
  const searchPath = line.scope === "control" ? "control,platform" : `${schema},platform`;
  const alone = withoutTransaction.test(migration.text);
  try {
    await client.query(
      alone ? "set lock_timeout = '10s'" : "begin; set local lock_timeout = '10s'",
    );
    await client.query("select set_config('search_path', $1, $2)", [searchPath, !alone]);
    if (!(await showsLastToken(client, lock.token))) {
      throw new Error("another process took over while this one was paused; start it again");
    }
    await client.query(
      "insert into platform.migrations (schema, line, file, sha256) values ($1, $2, $3, $4)",
      [...key, migration.sha256],
    );
    await client.query(migration.text);
    await client.query(
      `update platform.migrations set applied_at = clock_timestamp()
       where schema = $1 and line = $2 and file = $3`,
      key,
    );
    if (!alone) await client.query("commit");
  } catch (error) {
    // A connection that is gone has rolled back.
    if (!alone) await client.query("rollback").catch(() => {});
    const reason = error instanceof Error ? error.message : String(error);
    throw new MigrationError(`migration ${schema}:${line.name}/${migration.file}: ${reason}`, {
      cause: error,
    });
  }
}
