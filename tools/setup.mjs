// Makes "npm start" and "npm test" work on a fresh clone: installs what the lockfile says when it is
// not there, then builds the console when its sources changed. Plain JavaScript, because it runs
// before anything is installed, on whatever Node (20 or later) npm came with.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => path.join(root, ...parts);

await main();

async function main() {
  try {
    if (!isInstalled()) {
      const args = ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
      await withProgress("Installing packages (once, and again when they change)", () => npm(args));
    }
    if (!existsSync(pinnedNode())) {
      throw new Error(
        `${pinnedNode()} is missing: npm did not run install scripts (is "ignore-scripts" set?).\n` +
          'Run "npm rebuild node --ignore-scripts=false", then try again.',
      );
    }
    await buildConsole().catch((error) => {
      // The API, the shop and the command line work without it.
      process.stderr.write(`\n${error.message}\n\nGoing on without the console.\n`);
    });
  } catch (error) {
    process.stderr.write(`\n${error.message}\n`);
    process.exitCode = 1;
  }
}

function pinnedNode() {
  return process.platform === "win32"
    ? at("node_modules/.bin/node.cmd")
    : at("node_modules/.bin/node");
}

/** Compares what npm wrote about its last installation with the lockfile. */
function isInstalled() {
  const wanted = readPackages(at("package-lock.json"));
  const present = readPackages(at("node_modules/.package-lock.json"));
  if (!wanted || !present) return false;
  for (const [name, entry] of Object.entries(present)) {
    if (!sameRelease(entry, wanted[name])) return false;
  }
  return Object.entries(wanted).every(([name, entry]) => {
    // Packages for other platforms are in the lockfile and rightly not here.
    const needed = name.includes("node_modules/") && !entry.optional && !entry.peer;
    return !needed || name in present;
  });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return undefined;
  }
}

function sameRelease(a, b) {
  return b !== undefined && a.version === b.version && a.integrity === b.integrity;
}

/** Builds the console unless its last build came from exactly these sources. */
async function buildConsole() {
  if (!existsSync(at("console/package.json"))) return;
  const { scripts } = JSON.parse(readFileSync(at("console/package.json"), "utf8"));
  if (!scripts?.build) return;
  const stamp = at("console/dist/.sources");
  const hash = hashSources(["console", "sdk", "package-lock.json"]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  const args = ["run", "build", "--workspace", "console", "--loglevel=error"];
  await withProgress("Building the console", () => npm(args));
  mkdirSync(path.dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
}

function hashSources(places) {
  const hash = createHash("sha256");
  for (const file of places.flatMap(listFiles)) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(at(file)))
      .update("\0");
  }
  return hash.digest("hex");
}

function listFiles(place) {
  if (!existsSync(at(place))) return [];
  if (statSync(at(place)).isFile()) return [place];
  return readdirSync(at(place))
    .filter((name) => !["node_modules", "dist", "coverage"].includes(name))
    .sort()
    .flatMap((name) => listFiles(path.posix.join(place, name)));
}

/** Runs npm, the one that runs this if there is one. @returns its output @throws with the output */
function npm(args) {
  const self = process.env.npm_execpath;
  const [file, full] = self?.endsWith(".js") ? [process.execPath, [self, ...args]] : ["npm", args];
  return new Promise((resolve, reject) => {
    const child = spawn(file, full, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32",
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    }
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (code === 0) return resolve(output);
      reject(new Error(`"npm ${args.join(" ")}" failed (${signal ?? code}):\n${output.trim()}`));
    });
  });
}

/** Shows that something is going on: a spinner on a terminal, now and then a line elsewhere. */
async function withProgress(title, work) {
  const startedAt = Date.now();
  const seconds = () => `${Math.round((Date.now() - startedAt) / 1000)} s`;
  const onTerminal = process.stderr.isTTY && !process.env.CI;
  let turn = 0;
  const draw = () => {
    process.stderr.write(`\r\x1b[2K${"⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[turn++ % 10]} ${title} … ${seconds()}`);
  };
  const say = () => process.stderr.write(`${title} … ${seconds()}\n`);
  if (onTerminal) draw();
  else process.stderr.write(`${title} …\n`);
  const timer = setInterval(onTerminal ? draw : say, onTerminal ? 100 : 15_000);
  try {
    await work();
    process.stderr.write(`${onTerminal ? "\r\x1b[2K" : ""}${title}: done in ${seconds()}\n`);
  } finally {
    clearInterval(timer);
  }
}
