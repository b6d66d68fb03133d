// Runs the tests: "npm test" everything, "npm test -- orders" files whose path contains the word,
// "npm test -- --only=db,http" by tier, "--grep=TEXT" by test name, "--concurrency=N".
// One PostgreSQL serves all files; BRANDOS_TEST_DATABASE_URL names another one than the embedded.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

const root = path.dirname(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname));
process.chdir(root);
// Type stripping needs a newer Node than npm may run on.
if (Number.parseInt(process.versions.node, 10) < 24) {
  const pinned = path.join(root, "node_modules/.bin/node");
  const { status } = spawnSync(pinned, process.argv.slice(1), { stdio: "inherit" });
  process.exit(status ?? 1);
}

/** Tiers by suffix, in the order they run: cheap ones first. */
const tiers = ["pure", "db", "http", "sim", "e2e"];
/** Longest a test may run, milliseconds. */
const testTimeoutMs = { quick: 120_000, slow: 300_000 };

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" },
    grep: { type: "string" },
    concurrency: { type: "string" },
  },
});

let stopServer = async () => {};
let running;
let interrupted = false;
for (const name of ["SIGINT", "SIGTERM"]) {
  process.on(name, () => {
    interrupted = true;
    running?.kill("SIGTERM");
  });
}

const status = await main().finally(() => stopServer());
process.exit(interrupted ? 130 : status);

async function main() {
  const files = select(
    ["src", "test", "tools", "sdk", "console", "bench", "examples"].flatMap(testFiles),
  );
  if (files.length === 0) {
    process.stderr.write("no test file matches\n");
    return 1;
  }
  const skipped = await describeOptional(files);
  if (files.some((file) => tierOf(file) !== "pure")) await startServer();
  const cores = os.availableParallelism();
  const quick = files.filter((file) => tierOf(file) !== "e2e");
  const slow = files.filter((file) => tierOf(file) === "e2e");
  let code = 0;
  if (quick.length > 0) {
    const concurrency = Number(options.concurrency ?? Math.max(2, Math.min(cores, 8)));
    code = await run(quick, concurrency, testTimeoutMs.quick);
  }
  // These start servers, browsers and kill things: alone, so that timings mean something.
  if (slow.length > 0 && !interrupted) code = (await run(slow, 1, testTimeoutMs.slow)) || code;
  for (const line of skipped) process.stdout.write(`${line}\n`);
  return code;
}

function select(files) {
  const only = options.only?.split(",");
  const unknown = only?.find((tier) => !tiers.includes(tier));
  if (unknown) throw new Error(`no tier "${unknown}": use ${tiers.join(", ")}`);
  return files
    .filter((file) => !only || only.includes(tierOf(file)))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .sort((a, b) => tiers.indexOf(tierOf(a)) - tiers.indexOf(tierOf(b)) || (a < b ? -1 : 1));
}

function tierOf(file) {
  return /\.(db|http|sim|e2e)\.test\.ts$/.exec(file)?.[1] ?? "pure";
}

function testFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const place = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      return ["node_modules", "dist", "peers"].includes(entry.name) ? [] : testFiles(place);
    }
    return entry.name.endsWith(".test.ts") ? [place] : [];
  });
}

function run(files, concurrency, timeoutMs) {
  const args = [
    "--test",
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${timeoutMs}`,
    // A failed test may leave a pool open; its file would then never end.
    "--test-force-exit",
    ...(options.grep ? [`--test-name-pattern=${options.grep}`] : []),
    ...files,
  ];
  running = spawn(process.execPath, args, { stdio: "inherit" });
  return new Promise((resolve) => {
    running.once("exit", (code) => resolve(code ?? 1));
  });
}

/** Says which of the tests will skip themselves, and why. */
async function describeOptional(files) {
  const { optionalParts } = await import("../src/testing/optional.ts");
  const texts = files.map((file) => readFileSync(file, "utf8"));
  return optionalParts().flatMap(({ name, found, how }) => {
    const users = texts.filter((text) => text.includes(`skipWithout("${name}")`)).length;
    if (users === 0 || found) return [];
    return [`without ${name}: tests in ${users} files are skipped (${how})`];
  });
}

async function startServer() {
  if (process.env.BRANDOS_TEST_DATABASE_URL) return;
  const { startEmbeddedPostgres } = await import("../src/platform/embedded/embedded.ts");
  const { unsafeFastSettings } = await import("../src/platform/embedded/settings.ts");
  const home = mkdtempSync(path.join(os.tmpdir(), "brandos-tests-"));
  chmodSync(home, 0o711);
  const server = await startEmbeddedPostgres({
    dataDir: path.join(home, "postgres"),
    settings: unsafeFastSettings,
  });
  process.env.BRANDOS_TEST_DATABASE_URL = server.url;
  stopServer = async () => {
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  };
}
