import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import type { Bench, BenchResult } from "./harness.ts";

const usage = "usage: npm run bench -- NAME [--json] [--quick]";
const notBenches = new Set(["main.ts", "harness.ts", "commerce.ts", "place-order-raw.ts"]);

function names(): string[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && !notBenches.has(file))
    .map((file) => file.replace(/\.ts$/, ""));
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "boolean" }, quick: { type: "boolean" } },
  });
  const name = positionals[0];
  if (!name || !existsSync(new URL(`./${name}.ts`, import.meta.url)) || !names().includes(name)) {
    process.stderr.write(`${usage}\nbenches: ${names().join(", ")}\n`);
    return 2;
  }
  const { run } = (await import(`./${name}.ts`)) as { run: Bench };
  const log = (line: string) => process.stderr.write(`${line}\n`);
  const cpu = cpus();
  log(
    `${name}: ${new Date().toISOString().slice(0, 10)}, commit ${commit()}, node ${process.version}, ` +
      `${cpu.length} x ${cpu[0]?.model ?? "cpu"}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  );
  const result = await run({ quick: values.quick ?? false, log });
  report(result);
  if (values.json) {
    const { rows: _, ...line } = result;
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
  return 0;
}

function report(result: BenchResult): void {
  if (result.rows) console.table(result.rows);
  const peers = Object.entries(result.peers).map(([peer, figure]) => `${peer} ${figure}`);
  const parts = [
    `ours ${result.ours} ${result.unit}`,
    peers.length > 0 ? `peers: ${peers.join(", ")}; ratio ${result.ratio}` : "no peer ran",
    result.limit === null ? "" : `limit ${result.limit}, reached ${result.ofLimit}`,
  ];
  process.stdout.write(`${result.bench}: ${parts.filter(Boolean).join(" | ")}\n`);
  for (const note of result.notes ?? []) process.stdout.write(`note: ${note}\n`);
}

process.exitCode = await main();
