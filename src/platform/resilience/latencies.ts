/** How long recent calls took. */
export interface Latencies {
  /** Counts a call. @param ms milliseconds it took */
  note(ms: number): void;
  /** @returns milliseconds; undefined while too few calls were seen */
  percentileMs(): number | undefined;
}

/** Calls that are remembered. */
const remembered = 200;
/** Calls between two looks, and before the first. */
const lookEvery = 40;

/** Makes a memory of the last 200 calls. @param part 0.95 for the 95th percentile */
export function createLatencies(part: number): Latencies {
  const ring = new Float64Array(remembered);
  let seen = 0;
  let percentile: number | undefined;
  return {
    note(ms) {
      ring[seen++ % remembered] = ms;
      // Sorting 200 numbers takes 5 µs; once in 40 calls is nothing.
      if (seen % lookEvery !== 0) return;
      const sorted = ring.slice(0, Math.min(seen, remembered)).sort();
      percentile = sorted[Math.floor(sorted.length * part)];
    },
    percentileMs: () => percentile,
  };
}
