import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CronTimes, parseCron, planDue } from "./schedule.ts";

const times = (cron: string, timeZone = "Europe/Berlin"): CronTimes => {
  const parsed = parseCron(cron, timeZone);
  assert(parsed.ok);
  return parsed.value;
};
const at = (text: string) => new Date(text);
const fired = (cron: string, from: string, to: string) =>
  planDue(times(cron), "all", times(cron).after(at(from)) ?? at(to), at(to)).fire.map((due) =>
    due.toISOString().slice(0, 16),
  );

describe("due times over the changes of the clock", () => {
  it("fires at the first moment after the gap when the due time does not exist", () => {
    assert.deepEqual(fired("30 2 * * *", "2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z"), [
      "2026-03-28T01:30",
      "2026-03-29T01:00",
      "2026-03-30T00:30",
    ]);
  });

  it("fires once when the due time exists twice", () => {
    assert.deepEqual(fired("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"), [
      "2026-10-25T00:30",
      "2026-10-26T01:30",
    ]);
  });

  it("goes on through both hours when it is an interval", () => {
    const quarters = fired("*/15 * * * *", "2026-10-24T23:50:00Z", "2026-10-25T02:00:00Z");
    assert.equal(quarters.length, 9);
    assert.equal(new Set(quarters).size, 9);
  });

  it("skips no hour and doubles none over a whole year", () => {
    const due: number[] = [];
    let moment = at("2026-01-01T00:00:00Z");
    const hourly = times("0 * * * *");
    while (moment < at("2027-01-01T00:00:00Z")) {
      moment = hourly.after(moment) ?? at("2027-01-01T00:00:00Z");
      due.push(moment.getTime());
    }
    assert.equal(due.length, 365 * 24);
    assert(due.every((time, index) => index === 0 || time - (due[index - 1] ?? 0) === 3_600_000));
  });
});

describe("due times nobody fired", () => {
  const hourly = times("0 * * * *");
  const next = at("2026-05-01T10:00:00Z");
  const now = at("2026-05-01T14:20:00Z");

  it("are left out by skip", () => {
    const plan = planDue(hourly, "skip", next, now);
    assert.deepEqual(plan.fire, []);
    assert.deepEqual(plan.next, at("2026-05-01T15:00:00Z"));
  });

  it("still count for skip when less than a minute late", () => {
    const plan = planDue(hourly, "skip", next, at("2026-05-01T10:00:59Z"));
    assert.deepEqual(plan.fire, [next]);
  });

  it("fire the last one by once", () => {
    const plan = planDue(hourly, "once", next, now);
    assert.deepEqual(plan.fire, [at("2026-05-01T14:00:00Z")]);
    assert.deepEqual(plan.next, at("2026-05-01T15:00:00Z"));
  });

  it("fire one by one by all", () => {
    const plan = planDue(hourly, "all", next, now);
    assert.equal(plan.fire.length, 5);
    assert.deepEqual(plan.next, at("2026-05-01T15:00:00Z"));
  });

  it("are found quickly after years of silence", () => {
    const secondly = times("* * * * * *");
    const plan = planDue(secondly, "once", at("2016-01-01T00:00:00Z"), now);
    assert.deepEqual(plan.fire, [now]);
  });

  it("do not fire before they are due", () => {
    assert.deepEqual(planDue(hourly, "all", next, at("2026-05-01T09:59:59Z")).fire, []);
  });
});

describe("reading a schedule", () => {
  it("refuses a bad expression, an unknown zone, and what never falls due", () => {
    for (const [cron, zone] of [
      ["61 * * * *", "UTC"],
      ["0 0 * * *", "Mars/Olympus"],
      ["0 0 30 2 *", "UTC"],
    ] as const) {
      const parsed = parseCron(cron, zone);
      assert(!parsed.ok);
      assert.equal(parsed.failure.code, "jobs.invalid_schedule");
    }
  });
});
