import { readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import path from "node:path";
import { EmbeddedPostgresError } from "./errors.ts";
import { isAlive, sendSignal } from "./processes.ts";
import { until } from "./wait.ts";

/** What a running PostgreSQL writes about itself into `postmaster.pid`. */
export interface PidFile {
  readonly pid: number;
  readonly port: number;
  /** `ready`, `starting`, `stopping`, `standby`, or empty in its first moments. */
  readonly status: string;
}

/** Bounds of stopping, milliseconds each: polite, then immediate, then killed. */
export const stopLimits = { fastMs: 5_000, immediateMs: 7_000, killMs: 3_000 } as const;
/** How long the children of a killed server may take to notice, milliseconds. */
const orphanPatienceMs = 5_000;

/**
 * Reads `postmaster.pid` of a data folder.
 *
 * @see https://www.postgresql.org/docs/18/storage-file-layout.html and pidfile.h for its lines
 */
export function readPidFile(dataDir: string): PidFile | undefined {
  let text: string;
  try {
    text = readFileSync(path.join(dataDir, "postmaster.pid"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const lines = text.split("\n").map((line) => line.trim());
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number(lines[3]) || 0, status: lines[7] ?? "" };
}

/** Whether process `pid` lives and is a PostgreSQL that works in `dataDir`. */
export function isServing(pid: number, dataDir: string): boolean {
  if (!isAlive(pid)) return false;
  // Pids are used again: after a power cut the file may name somebody else's process.
  return process.platform === "linux" ? worksIn(String(pid), realpathSync(dataDir)) : true;
}

function worksIn(pid: string, folder: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === folder;
  } catch (error) {
    // Not ours to see: then it is at least alive, and the connection check decides.
    return (error as NodeJS.ErrnoException).code === "EACCES";
  }
}

/**
 * Waits until no child of a dead server works on `dataDir` any more, and ends those that do not
 * notice: PostgreSQL must not start while they are attached to its memory.
 *
 * Elsewhere than on Linux the children cannot be listed; PostgreSQL's own check has to do.
 */
export async function clearOrphans(dataDir: string): Promise<void> {
  if (process.platform !== "linux") return;
  const folder = realpathSync(dataDir);
  const gone = () => orphans(folder).length === 0;
  if (await until(gone, { timeoutMs: orphanPatienceMs })) return;
  // Their server is dead, so they can commit nothing: recovery treats them like a power cut.
  for (const pid of orphans(folder)) sendSignal(pid, "SIGKILL");
  if (await until(gone, { timeoutMs: stopLimits.killMs })) return;
  throw new EmbeddedPostgresError(
    "ERR_EMBEDDED_START_FAILED",
    `processes ${orphans(folder).join(", ")} of a dead PostgreSQL still hold ${dataDir}: end them`,
  );
}

function orphans(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/cwd`) !== folder) return false;
        return path.basename(readlinkSync(`/proc/${pid}/exe`)).startsWith("postgres");
      } catch {
        return false; // Ended meanwhile, or another user's.
      }
    })
    .map(Number);
}

/**
 * Shuts the server down: fast (sessions end, a checkpoint is written), after
 * {@link stopLimits} immediate (recovered at the next start), at last by force.
 *
 * @throws EmbeddedPostgresError when even that did not end it
 */
export async function stopPostmaster(pid: number, dataDir: string): Promise<void> {
  const gone = () => !isServing(pid, dataDir);
  const steps: readonly (readonly [NodeJS.Signals, number])[] = [
    ["SIGINT", stopLimits.fastMs],
    ["SIGQUIT", stopLimits.immediateMs],
    ["SIGKILL", stopLimits.killMs],
  ];
  for (const [name, timeoutMs] of steps) {
    if (gone()) return;
    sendSignal(pid, name);
    if (await until(gone, { timeoutMs })) return;
  }
  const text = `PostgreSQL (process ${pid}) on ${dataDir} does not end`;
  throw new EmbeddedPostgresError("ERR_EMBEDDED_STOP_FAILED", text);
}
