import { cpus, loadavg } from "node:os";
import { round } from "../harness.ts";

/** What the machine did before a run. */
export interface MachineBefore {
  /** Processes that ran or wanted to, mean of the last minute. */
  readonly load: number;
  /** Says so when other work took part of the cores: then figures are too low. */
  readonly notes: readonly string[];
}

/** A part of the cores that may be busy before figures are called disturbed. */
const busyPart = 0.5;

/** Call it before a run starts anything. */
export function machineBefore(): MachineBefore {
  const load = round(loadavg()[0] ?? 0);
  const cores = cpus().length;
  if (load <= cores * busyPart) return { load, notes: [] };
  return {
    load,
    notes: [`the machine did other work: load ${load} on ${cores} cores before the run`],
  };
}
