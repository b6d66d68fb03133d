/** A moment that somebody waits for. */
export interface Alarm {
  /** Of `performance.now()`; see {@link Alarms.set}. */
  atMs: number;
  /** Called once it has come; may set the alarm again. */
  readonly ring: () => void;
}

/** Many moments by one timer: a timer for each lock was a third of what taking one cost this process. */
export interface Alarms {
  set(alarm: Alarm, atMs: number): void;
  clear(alarm: Alarm): void;
}

/** Shortest time between two looks at all alarms, milliseconds. */
const restMs = 5;

/** Makes alarms; they do not keep a process alive. */
export function createAlarms(): Alarms {
  const alarms = new Set<Alarm>();
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Number.POSITIVE_INFINITY;
  const wakeAt = (atMs: number, nowMs: number): void => {
    if (atMs >= timerAtMs) return;
    clearTimeout(timer);
    timerAtMs = atMs;
    timer = setTimeout(look, Math.max(0, Math.ceil(atMs - nowMs)));
    timer.unref();
  };
  const look = (): void => {
    timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    // Those that are set again while they ring are looked at below, not twice here.
    for (const alarm of [...alarms].filter(({ atMs }) => atMs <= nowMs)) {
      if (alarms.delete(alarm)) alarm.ring();
    }
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { atMs } of alarms) nextMs = Math.min(nextMs, atMs);
    if (nextMs < Number.POSITIVE_INFINITY) wakeAt(Math.max(nextMs, nowMs + restMs), nowMs);
  };
  return {
    set(alarm, atMs) {
      alarm.atMs = atMs;
      alarms.add(alarm);
      // One that is never due waits to be set again.
      if (atMs < timerAtMs) wakeAt(atMs, performance.now());
    },
    clear: (alarm) => void alarms.delete(alarm),
  };
}
