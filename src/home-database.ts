import path from "node:path";
import pg from "pg";
import type { Config } from "./config.ts";
import { startEmbeddedPostgres } from "./platform/embedded/embedded.ts";
import { generatedSecret } from "./platform/secrets/generated-secret.ts";

/** The database that the process works on. */
export interface HomeDatabase {
  /** Owner URL. */
  readonly url: string;
  /** For people, without a password. */
  readonly label: string;
  stop(): Promise<void>;
}

const databaseName = "brandos";
const ownerName = "brandos_owner";

/**
 * Finds the home database: the configured one, or an embedded PostgreSQL in the home folder, with an
 * owner that is no superuser.
 */
export async function openHomeDatabase(
  config: Config,
  say: (line: string) => void,
): Promise<HomeDatabase> {
  const { url } = config.database;
  if (url) {
    const { host, pathname } = new URL(url);
    return { url, label: `PostgreSQL at ${host}${pathname}`, stop: async () => {} };
  }
  const dataDir = path.join(config.home, "postgres");
  const server = await startEmbeddedPostgres({ dataDir, log: say });
  try {
    const ownerUrl = await ensureDatabase(server.url, config.home);
    const label = `embedded PostgreSQL ${server.version}, data in ${dataDir}`;
    return { url: ownerUrl, label, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function ensureDatabase(superuserUrl: string, home: string): Promise<string> {
  const password = generatedSecret(home, "owner-password").value;
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const quoted = client.escapeLiteral(password);
    const role = await client.query("select 1 from pg_roles where rolname = $1", [ownerName]);
    const verb = role.rowCount === 0 ? "create" : "alter";
    await client.query(`${verb} role ${ownerName} login createrole createdb password ${quoted}`);
    const known = await client.query("select 1 from pg_database where datname = $1", [
      databaseName,
    ]);
    if (known.rowCount === 0)
      await client.query(`create database ${databaseName} owner ${ownerName}`);
  } finally {
    await client.end();
  }
  const url = new URL(superuserUrl);
  url.username = ownerName;
  url.password = password;
  url.pathname = `/${databaseName}`;
  return url.href;
}
