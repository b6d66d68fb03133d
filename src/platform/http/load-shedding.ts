import { monitorEventLoopDelay } from "node:perf_hooks";
import { problemError } from "./problem.ts";

/** When to refuse work. */
export interface LoadSheddingConfig {
  readonly inFlightMax: number;
  /** Mean delay of the event loop over the last half second, milliseconds; 0 is off. */
  readonly loopDelayMaxMs: number;
}

/** Refuses requests that could only be answered too late. */
export interface LoadShedding {
  /** Admits one request. @throws ProblemError server.overloaded */
  admit(): void;
  /** Ends an admitted request. */
  leave(): void;
  inFlight(): number;
  /** Mean delay of the event loop over the last half second, milliseconds. */
  loopDelayMs(): number;
  stop(): void;
}

const sampleEveryMs = 500;
/** Resolution of the delay's sampling, milliseconds; it is part of every sample. */
const resolutionMs = 10;

/** Watches the event loop and the number of requests being answered. */
export function createLoadShedding(config: LoadSheddingConfig): LoadShedding {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  let loopDelayMs = 0;
  let inFlight = 0;
  const sampling = setInterval(() => {
    const meanMs = Number.isNaN(delay.mean) ? 0 : delay.mean / 1e6;
    loopDelayMs = Math.max(0, meanMs - resolutionMs);
    delay.reset();
  }, sampleEveryMs);
  sampling.unref();
  return {
    admit() {
      const late = config.loopDelayMaxMs > 0 && loopDelayMs > config.loopDelayMaxMs;
      if (late || inFlight >= config.inFlightMax) {
        throw problemError("server.overloaded", { retryAfterSeconds: 1 });
      }
      inFlight++;
    },
    leave() {
      inFlight--;
    },
    inFlight: () => inFlight,
    loopDelayMs: () => loopDelayMs,
    stop() {
      clearInterval(sampling);
      delay.disable();
    },
  };
}
