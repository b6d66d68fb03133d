import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/** Resident memory of a process, megabytes (10^6 bytes); not that of its children. */
export function residentMb(pid: number): number {
  return Math.round((residentKib(pid) * 1_024) / 1e6);
}

function residentKib(pid: number): number {
  const status = `/proc/${pid}/status`;
  if (!existsSync(status)) {
    return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" }));
  }
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(status, "utf8"))?.[1]);
}
