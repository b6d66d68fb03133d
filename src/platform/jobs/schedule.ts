import { Cron } from "croner";
import { type Failure, fail, ok, type Result } from "../../kernel/result.ts";

/**
 * What happens to due times nobody fired, because no worker ran or the database was away.
 *
 * - `skip`: they are left out, unless less than a minute late
 * - `once`: the last of them fires, late
 * - `all`: each fires, late
 */
export type MissedPolicy = "skip" | "once" | "all";

/** Refuses a cron expression or a time zone. */
export interface InvalidSchedule extends Failure {
  readonly code: "jobs.invalid_schedule";
  /** What is wrong with it, for people. */
  readonly message: string;
}

/** Due times one look at a schedule may fire. */
export const ticksMax = 1_000;

/** A tick this late still counts as on time, milliseconds. */
const graceMs = 60_000;

/**
 * Reads a cron expression (5 fields, or 6 with seconds first) in an IANA time zone.
 *
 * At the change to summer time a due time that does not exist fires at the first moment after the
 * gap. At the change back a due time that exists twice fires at the first of the two; intervals
 * (`*` and steps) go on through both hours.
 *
 * @see https://croner.56k.guru
 */
export function parseCron(cron: string, timeZone: string): Result<CronTimes, InvalidSchedule> {
  try {
    const parsed = new Cron(cron, { timezone: timeZone, paused: true });
    if (!parsed.nextRun()) throw new RangeError(`"${cron}" never falls due`);
    return ok({ after: (moment) => parsed.nextRun(moment) ?? undefined });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return fail({ code: "jobs.invalid_schedule", message });
  }
}

/** The due times of a schedule. */
export interface CronTimes {
  /** The first due time after a moment. */
  after(moment: Date): Date | undefined;
}

/** Which due times to fire now, and which comes next. */
export interface DuePlan {
  readonly fire: readonly Date[];
  readonly next: Date | undefined;
}

/**
 * Decides what a schedule owes.
 *
 * @param next first due time not yet fired
 * @param now the database's clock
 */
export function planDue(times: CronTimes, missed: MissedPolicy, next: Date, now: Date): DuePlan {
  if (next > now) return { fire: [], next };
  const due: Date[] = [];
  let at: Date | undefined = next;
  if (missed === "all") {
    for (; at && at <= now && due.length < ticksMax; at = times.after(at)) due.push(at);
    return { fire: due, next: at };
  }
  // Only the latest counts: begin shortly before now, however long nobody looked.
  const last = lastDue(times, next, now);
  const isLate = now.getTime() - last.getTime() > graceMs;
  return { fire: missed === "skip" && isLate ? [] : [last], next: times.after(last) };
}

/** The latest due time up to now, found by looking back further and further. */
function lastDue(times: CronTimes, next: Date, now: Date): Date {
  for (let backMs = graceMs; ; backMs *= 4) {
    const from = Math.max(next.getTime(), now.getTime() - backMs);
    let last: Date | undefined = from === next.getTime() ? next : undefined;
    let at = last ?? times.after(new Date(from));
    for (; at && at <= now; at = times.after(at)) last = at;
    if (last) return last;
  }
}
