// What a newcomer does: clone, "npm start", look, Ctrl-C, and then worse: kill -9 and start again.
// Plain JavaScript for Node 20; nothing of the repository but what git has is used.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";

const root = path.dirname(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname));
const place = path.resolve(process.argv[2] ?? "clone");
const clone = path.join(place, "brandos");
const home = path.join(place, "home");
/** What the README promises, seconds. */
const promised = { firstStart: 90, laterStart: 3, stop: 5 };
/** A machine that runs other things too may take this many times longer before it is a failure. */
const slack = 3;

let program;
const started = [];
process.on("exit", cleanUp);
for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => process.exit(130));

await main();

async function main() {
  mkdirSync(place, { recursive: true });
  execFileSync("git", ["clone", "--quiet", "--no-hardlinks", root, clone]);
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;

  await start(port, "first start", promised.firstStart);
  await look(base, program.output());
  await stop("Ctrl-C");
  await start(port, "later start", promised.laterStart);
  const before = await look(base, program.output());
  await killHard();
  await start(port, "start after kill -9", promised.laterStart * 3);
  const after = await look(base, program.output());
  if (JSON.stringify(before) !== JSON.stringify(after)) {
    throw new Error(`the pages differ after kill -9: ${JSON.stringify({ before, after })}`);
  }
  await stop("Ctrl-C");
  console.log("nothing is left running");
  rmSync(place, { recursive: true, force: true });
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Runs "npm start" the way a terminal does: as the leader of a process group. */
async function start(port, what, seconds) {
  const at = Date.now();
  // Without the outer run's tools: only what a newcomer has.
  const PATH = process.env.PATH.split(path.delimiter)
    .filter((folder) => !folder.includes("node_modules"))
    .join(path.delimiter);
  const env = { ...process.env, PATH, PORT: String(port), BRANDOS_HOME: home };
  for (const name of Object.keys(env)) if (name.startsWith("npm_")) delete env[name];
  const child = spawn("npm", ["start"], { cwd: clone, env, detached: true });
  started.push(child.pid);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
  }
  const exit = new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? code));
  });
  program = { child, exit, output: () => output };
  let ended;
  exit.then((how) => {
    ended = how;
  });
  await until(`${what}: /health/ready`, seconds * slack, async () => {
    if (ended !== undefined) throw new Error(`npm start ended (${ended})`);
    const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined);
    return answer?.ok === true;
  });
  report(what, (Date.now() - at) / 1000, seconds);
  // The addresses are printed when everything answers.
  await until("the shop's address", 10, async () => /\/shop\/[a-z0-9-]+/.test(output));
}

async function look(base, output) {
  const shop = /\/shop\/[a-z0-9-]+/.exec(output)?.[0];
  const sizes = {};
  for (const page of ["/openapi.json", "/docs", shop, "/console", "/metrics", "/health/live"]) {
    const answer = await fetch(base + page);
    const text = await answer.text();
    if (!answer.ok || text.length === 0) throw new Error(`${page}: ${answer.status}, ${text.length}`);
    if (page === "/openapi.json") sizes.paths = Object.keys(JSON.parse(text).paths).length;
  }
  return { shop, ...sizes };
}

async function stop(what) {
  const at = Date.now();
  process.kill(-program.child.pid, "SIGINT");
  const late = new Promise((resolve) => setTimeout(resolve, promised.stop * slack * 1000, "late"));
  const how = await Promise.race([program.exit, late]);
  if (how === "late") throw new Error(`still running ${promised.stop * slack} s after ${what}`);
  report(what, (Date.now() - at) / 1000, promised.stop);
  if (how !== 0 && how !== "SIGINT" && how !== 130) throw new Error(`npm start ended with ${how}`);
  const pid = postgresPid();
  if (pid !== undefined) throw new Error(`PostgreSQL still runs after ${what} (${pid})`);
}

/** kill -9 of npm, its shell and node; PostgreSQL is in a session of its own and survives. */
async function killHard() {
  process.kill(-program.child.pid, "SIGKILL");
  await program.exit;
}

function postgresPid() {
  const file = path.join(home, "postgres/postmaster.pid");
  if (!existsSync(file)) return undefined;
  const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
  try {
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}

function report(what, seconds, promise) {
  const verdict = seconds <= promise ? "as promised" : `promised: ${promise} s`;
  console.log(`== ${what}: ${seconds.toFixed(1)} s (${verdict})`);
}

async function until(what, seconds, condition) {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function cleanUp() {
  for (const pid of started) {
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // Ended already.
    }
  }
  const pid = postgresPid();
  if (pid !== undefined) process.kill(pid, "SIGQUIT");
}
