/**
 * A process for the tests: starts the server on the folder given, says so in one line of JSON, and
 * does what lines on its standard input ask for. SIGINT lets it drain like the real program.
 */
import { createInterface } from "node:readline";
import pg from "pg";
import { startEmbeddedPostgres } from "./embedded.ts";

const dataDir = process.argv[2] ?? "";
const say = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);

try {
  const lines: string[] = [];
  const server = await startEmbeddedPostgres({ dataDir, log: (line) => lines.push(line) });
  const keepAlive = setInterval(() => {}, 60_000);
  const finish = async () => {
    await server.stop();
    clearInterval(keepAlive);
    input.close();
    process.stdin.destroy();
    say({ stopped: true });
  };
  const input = createInterface({ input: process.stdin });
  input.on("line", (line) => {
    if (line === "stop") void finish();
  });
  process.once("SIGINT", async () => {
    const client = new pg.Client(server.url);
    await client.connect();
    const { rows } = await client.query("select 1 as drained");
    await client.end();
    say(rows[0]);
    await finish();
  });
  say({ ...server, lines });
} catch (error) {
  const { code, message } = error as { code?: string; message?: string };
  say({ error: code ?? "unknown", message });
  process.exitCode = 1;
}
