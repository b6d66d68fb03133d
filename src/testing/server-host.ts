/**
 * The background process that owns the embedded test server: prints its URL, then stops it when
 * nobody has been connected for a while. Ends at once when another process owns it already.
 */
import pg from "pg";
import { startEmbeddedPostgres } from "../platform/embedded/embedded.ts";
import { unsafeFastSettings } from "../platform/embedded/settings.ts";
import { idleStopMs } from "./server.ts";

const checkEveryMs = 5_000;

const dataDir = process.argv[2] ?? "";
const server = await startEmbeddedPostgres({ dataDir, settings: unsafeFastSettings });
process.stdout.on("error", () => {}); // The asker may have gone already.
process.stdout.write(`${server.url}\n`);

if (!server.attached) {
  let busyAt = performance.now();
  const timer = setInterval(async () => {
    const others = await countOthers(server.url).catch(() => 0);
    if (others > 0) busyAt = performance.now();
    if (performance.now() - busyAt < idleStopMs) return;
    clearInterval(timer);
    await server.stop();
  }, checkEveryMs);
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, async () => {
      clearInterval(timer);
      await server.stop();
    });
  }
}

async function countOthers(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url, application_name: "brandos-test-host" });
  client.on("error", () => {});
  await client.connect();
  try {
    const { rows } = await client.query(`
      select count(*)::int as others from pg_stat_activity
      where backend_type = 'client backend' and application_name not in ('brandos-test-host')
        and application_name not like 'brandos-owner-%'`);
    return rows[0]?.others ?? 0;
  } finally {
    await client.end();
  }
}
