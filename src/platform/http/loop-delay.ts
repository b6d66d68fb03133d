import { monitorEventLoopDelay } from "node:perf_hooks";

/** Watches how late the event loop is. */
export interface LoopDelay {
  /** Mean delay over the last half second, milliseconds. */
  readonly meanMs: number;
  stop(): void;
}

const sampleEveryMs = 500;
/** Resolution of the sampling, milliseconds; it is part of every sample. */
const resolutionMs = 10;

/** Starts watching; an own timer is the only cost. */
export function watchLoopDelay(): LoopDelay {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  let meanMs = 0;
  const sampling = setInterval(() => {
    meanMs = Math.max(0, (Number.isNaN(delay.mean) ? 0 : delay.mean / 1e6) - resolutionMs);
    delay.reset();
  }, sampleEveryMs);
  sampling.unref();
  return {
    get meanMs() {
      return meanMs;
    },
    stop() {
      clearInterval(sampling);
      delay.disable();
    },
  };
}
