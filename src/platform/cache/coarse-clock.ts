/**
 * Makes a monotonic clock that looks at the time at most once a millisecond, milliseconds: asking
 * the system (45 ns) would cost more than the rest of a hit. Within one turn of the event loop it may
 * stand still.
 */
export function createCoarseClock(): () => number {
  let nowMs = 0;
  const forget = () => {
    nowMs = 0;
  };
  return () => {
    if (nowMs === 0) {
      nowMs = performance.now();
      setTimeout(forget, 1).unref();
    }
    return nowMs;
  };
}
