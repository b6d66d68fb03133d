import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import type pg from "pg";
import { type MigrationLine, migrate, migrationFiles } from "../platform/db/migrate.ts";
import { isAlive } from "../platform/embedded/processes.ts";

/** Migrated databases nobody may connect to; test databases are copies of them. */
const templatePrefix = "brandos_template_";
/** Any number: serialises template building on one server. */
const templateLock = 7_220_402;
/** A template of other migrations is dropped when nobody used it for so long, milliseconds. */
const templateUnusedMs = 3_600_000;

/** Names the database that these migrations make: the same files give the same name. */
export function templateName(lines: readonly MigrationLine[]): string {
  const hash = createHash("sha256");
  for (const line of lines) {
    hash.update(`${line.name}\0${line.scope}\0`);
    for (const file of migrationFiles(line)) {
      hash
        .update(`${file}\0`)
        .update(readFileSync(path.join(line.folder, file)))
        .update("\0");
    }
  }
  return templatePrefix + hash.digest("hex").slice(0, 16);
}

/**
 * Makes the template of these migrations unless it is there; concurrent callers wait for the first.
 *
 * @param admin connection to any other database of the server, as its administrator
 * @param adminUrl the URL of that connection
 * @returns its name
 * @throws MigrationError when a migration fails: then there is no template
 */
export async function ensureTemplate(
  admin: pg.Client,
  adminUrl: string,
  lines: readonly MigrationLine[],
): Promise<string> {
  const name = templateName(lines);
  await admin.query("select pg_advisory_lock($1)", [templateLock]);
  try {
    if (!(await isComplete(admin, name))) await build(admin, adminUrl, { name, lines });
    await admin.query(`comment on database ${name} is '${new Date().toISOString()}'`);
    await dropUnused(admin, name);
  } finally {
    await admin.query("select pg_advisory_unlock($1)", [templateLock]);
  }
  return name;
}

/** A template is closed to connections as its last step: an open one was left half done. */
async function isComplete(admin: pg.Client, name: string): Promise<boolean> {
  const { rows } = await admin.query("select datallowconn from pg_database where datname = $1", [
    name,
  ]);
  if (rows[0]?.datallowconn === true) await admin.query(`drop database ${name} with (force)`);
  return rows[0]?.datallowconn === false;
}

interface TemplatePlan {
  readonly name: string;
  readonly lines: readonly MigrationLine[];
}

async function build(admin: pg.Client, adminUrl: string, plan: TemplatePlan): Promise<void> {
  await admin.query(`create database ${plan.name} encoding 'UTF8' template template0`);
  try {
    await migrate({
      ownerUrl: databaseUrl(adminUrl, plan.name),
      home: true,
      schemas: ["shared"],
      lines: plan.lines,
    });
  } catch (error) {
    await admin.query(`drop database ${plan.name} with (force)`);
    throw error;
  }
  await admin.query(`alter database ${plan.name} with allow_connections false`);
}

async function dropUnused(admin: pg.Client, current: string): Promise<void> {
  const { rows } = await admin.query(
    `select datname as name, shobj_description(oid, 'pg_database') as used
     from pg_database where datname like $1 and datname <> $2 and not datallowconn`,
    [`${templatePrefix}%`, current],
  );
  for (const { name, used } of rows) {
    const unusedMs = Date.now() - Date.parse(used ?? "");
    if (Number.isNaN(unusedMs) || unusedMs > templateUnusedMs) {
      await admin.query(`drop database if exists ${name}`);
    }
  }
}

/** Drops the test databases of processes of this machine that no longer live. */
export async function dropAbandoned(admin: pg.Client, prefix: string): Promise<void> {
  const { rows } = await admin.query(
    "select datname as name from pg_database where starts_with(datname, $1)",
    [prefix],
  );
  for (const { name } of rows) {
    if (!isAlive(Number.parseInt(name.slice(prefix.length), 10))) {
      await admin.query(`drop database if exists ${name} with (force)`);
    }
  }
}

/** The same server and role, another database. */
export function databaseUrl(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}
