import pg from "pg";
import { type MigrationLine, migrate, ownerConnectTimeoutMs } from "../db/migrate.ts";
import { assertConfinedRole } from "../db/roles.ts";
import { homeDatabase, type NewPlacement, type Placements } from "./placements.ts";

/** What making a place takes. */
export interface ProvisionDeps {
  readonly placements: Placements;
  readonly lines: readonly MigrationLine[];
}

/** Name of a tenant's database and schema by its isolation style. */
export function placeOf(
  tenantId: string,
  { style, cluster, slug }: { style: NewPlacement["style"]; cluster: string; slug: string },
): { readonly database: string; readonly schema: string } {
  if (style === "pool") return { database: cluster, schema: "shared" };
  if (style === "bridge") return { database: cluster, schema: `t_${slug.replaceAll("-", "_")}` };
  // By the id: a server may serve several deployments, whose slugs mean nothing to each other.
  return { database: `${cluster}/silo_${tenantId.replaceAll("-", "")}`, schema: "shared" };
}

/**
 * Makes the schema or database of a placement and brings it up to date; done before, it finds
 * everything in place. As the owner.
 *
 * @throws MigrationError, DbError
 */
export async function provision(
  { placements, lines }: ProvisionDeps,
  place: Pick<NewPlacement, "style" | "database" | "schema">,
): Promise<void> {
  const { database, schema, style } = place;
  if (style === "silo") await createDatabase(placements, database);
  await migrate({
    ownerUrl: placements.ownerUrlOf(database),
    home: database === homeDatabase,
    schemas: [schema],
    lines,
  });
}

/** Drops the schema or database of a bridge or silo tenant; a pool tenant has none of its own. */
export async function unprovision(
  placements: Placements,
  { style, database, schema }: Pick<NewPlacement, "style" | "database" | "schema">,
): Promise<void> {
  if (style === "bridge") {
    await asOwner(placements.ownerUrlOf(database), async (client) => {
      await client.query(`drop schema if exists ${client.escapeIdentifier(schema)} cascade`);
      await client.query("delete from platform.migrations where schema = $1", [schema]);
    });
  }
  if (style === "silo") {
    const [cluster = "", name = ""] = database.split("/");
    await asOwner(placements.ownerUrlOf(cluster), (client) =>
      client.query(`drop database if exists ${client.escapeIdentifier(name)} with (force)`),
    );
  }
}

async function createDatabase(placements: Placements, database: string): Promise<void> {
  const [cluster = "", name = ""] = database.split("/");
  await asOwner(placements.ownerUrlOf(cluster), async (client) => {
    const { rowCount } = await client.query("select 1 from pg_database where datname = $1", [name]);
    if (rowCount === 1) return;
    // template0: nothing that somebody left in template1 comes along.
    await client.query(`create database ${client.escapeIdentifier(name)} template template0`);
  });
}

/**
 * Refuses to start with an application or platform role that row-level security does not bind, in
 * any database.
 *
 * @throws Error that names the database and says what to do
 */
export async function refuseUnconfinedRoles(
  placements: Pick<Placements, "databases" | "urlsOf">,
): Promise<void> {
  for (const database of await placements.databases()) {
    const { app, platform } = placements.urlsOf(database);
    for (const [role, url] of Object.entries({ app, platform })) {
      try {
        await asOwner(url, assertConfinedRole);
      } catch (cause) {
        throw new Error(`${role} role of database ${database}: ${(cause as Error).message}`, {
          cause,
        });
      }
    }
  }
}

/** Runs work as the owner of a database, over a connection of its own. */
export async function asOwner<Value>(
  ownerUrl: string,
  work: (client: pg.Client) => Promise<Value>,
): Promise<Value> {
  const client = new pg.Client({
    connectionString: ownerUrl,
    application_name: "brandos/owner",
    connectionTimeoutMillis: ownerConnectTimeoutMs,
  });
  // Without a listener an error between two statements would end the process.
  client.on("error", () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
