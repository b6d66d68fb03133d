import { execFileSync } from "node:child_process";

/** Resident memory of a process, megabytes (10^6 bytes); not that of its children. */
export function residentMb(pid: number): number {
  const kib = Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" }));
  return Math.round((kib * 1_024) / 1e6);
}
