import { Presets, SingleBar } from "cli-progress";
import type { Output } from "./program.ts";

/** A bar for long work: drawn on a terminal, a line every tenth elsewhere, nothing with `--json`. */
export interface Progress {
  update(done: number, total: number, what: string): void;
  stop(): void;
}

/** Makes a progress bar. */
export function createProgress(output: Output): Progress {
  if (output.json) return { update() {}, stop() {} };
  return process.stderr.isTTY ? drawn() : told(output);
}

function drawn(): Progress {
  const bar = new SingleBar(
    { format: "{what} {bar} {percentage} % | {value}/{total} | {eta_formatted}", hideCursor: true },
    Presets.shades_classic,
  );
  let started = "";
  return {
    update(done, total, what) {
      if (started !== what) {
        if (started) bar.stop();
        bar.start(total, done, { what });
        started = what;
      }
      bar.update(done, { what });
    },
    stop() {
      if (started) bar.stop();
    },
  };
}

function told(output: Output): Progress {
  let last = "";
  return {
    update(done, total, what) {
      const line = `${what}: ${total > 0 ? Math.floor((done * 10) / total) * 10 : 0} %`;
      if (line !== last) output.say(line);
      last = line;
    },
    stop() {},
  };
}
