// Plants known bugs, one at a time, in a copy of the source, and looks whether the tests notice:
// "node tools/planted.ts" all of them, "node tools/planted.ts coupon" those whose name has the word.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type PlantedBug, plantedBugs } from "../test/proof/planted/bugs.ts";

const root = path.join(import.meta.dirname, "..");
/** Longest a test file may run, milliseconds. A bug that makes it hang is caught too. */
const testTimeoutMs = 120_000;

interface Row {
  readonly bug: PlantedBug;
  /** The test that noticed it. */
  readonly caughtBy: string | undefined;
}

/** A copy of what tests need, to break. */
function copySource(): string {
  const copy = mkdtempSync(path.join(tmpdir(), "brandos-planted-"));
  for (const name of ["src", "test", "tools", "db", "package.json", "tsconfig.json"])
    cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
  symlinkSync(path.join(root, "node_modules"), path.join(copy, "node_modules"));
  return copy;
}

/** @returns whether the test file passes */
async function passes(folder: string, file: string): Promise<boolean> {
  const args = ["--test", `--test-timeout=${testTimeoutMs}`, "--test-force-exit", file];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: "ignore" });
  const [code] = await once(child, "exit");
  return code === 0;
}

async function tryBug(folder: string, bug: PlantedBug, sound: ReadonlySet<string>): Promise<Row> {
  const file = path.join(folder, bug.file);
  const text = readFileSync(file, "utf8");
  if (!text.includes(bug.find)) throw new Error(`${bug.file} has no text: ${bug.find}`);
  writeFileSync(
    file,
    text.replaceAll(bug.find, () => bug.replace),
  );
  try {
    for (const each of bug.tests) {
      if (sound.has(each) && !(await passes(folder, each))) return { bug, caughtBy: each };
    }
    return { bug, caughtBy: undefined };
  } finally {
    writeFileSync(file, text);
  }
}

function tell({ bug, caughtBy }: Row): void {
  process.stdout.write(
    `| ${bug.promise} | ${bug.name} | ${caughtBy ? `caught by ${path.basename(caughtBy)}` : "MISSED"} |\n`,
  );
}

async function main(word: string): Promise<number> {
  const wanted = plantedBugs.filter(({ name }) => name.includes(word));
  const folder = copySource();
  const sound = new Set<string>();
  try {
    // A test that fails anyway proves nothing.
    for (const file of new Set(wanted.flatMap(({ tests }) => tests))) {
      if (await passes(folder, file)) sound.add(file);
      else process.stdout.write(`without any bug ${file} fails: it does not count\n`);
    }
    process.stdout.write("\n| promise | planted bug | |\n|---|---|---|\n");
    const rows: Row[] = [];
    for (const bug of wanted) {
      const row = await tryBug(folder, bug, sound);
      tell(row);
      rows.push(row);
    }
    const caught = rows.filter(({ caughtBy }) => caughtBy).length;
    process.stdout.write(`\n${caught} of ${rows.length} planted bugs were caught\n`);
    return caught === rows.length ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv[2] ?? "");
