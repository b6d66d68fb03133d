import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createJobsFixture, openDb, until } from "./jobs.fixture.ts";
import { defineJob, type Schedule } from "./jobs.ts";
import { fireSchedules } from "./scheduler.ts";

describe("schedules of jobs", async () => {
  const fixture = await createJobsFixture();
  const { database, db } = fixture;
  const dueNow = (name: string, ageMs: number) =>
    database.query(
      `update platform.job_schedules
       set next_due_at = date_trunc('second', now()) - $2 * interval '1 millisecond' where name = $1`,
      [name, ageMs],
    );
  const schedule = (queue: string, extra: Partial<Schedule> = {}): Schedule => ({
    name: `every-minute-${queue}`,
    cron: "* * * * *",
    timeZone: "Europe/Berlin",
    job: { kind: "tick", payload: { fixed: 1 }, queue },
    ...extra,
  });

  it("fires a due time once when many processes look at the same moment", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs();
    const put = await made.schedules.put(ctx, schedule(queue));
    assert(put.ok);
    await dueNow(put.value.name, 5_000);
    const dbs = Array.from({ length: 4 }, () => openDb(database));
    t.after(() => Promise.all(dbs.map((other) => other.stop())));
    const firings = await Promise.all(
      [...dbs, ...dbs].map((other) => fireSchedules(other, "home")),
    );
    const fired = firings
      .flatMap((firing) => firing.fired)
      .filter((one) => one.schedule === put.value.name);
    assert.deepEqual(fired, [{ schedule: put.value.name, jobs: 1 }]);
    const { items } = await made.list(ctx, "ready", 10);
    assert.equal(items.length, 1);
    assert.equal(items[0]?.payload["fixed"], 1);
    assert.match(String(items[0]?.payload["dueAt"]), /^\d{4}-.*Z$/);
  });

  it("does not fire a due time again when the clock of the schedule is set back", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs();
    // Rarely due of itself: a full minute that passes meanwhile would be one more due time.
    const leapDay = { cron: "0 0 29 2 *", missed: "all" } as const;
    const put = await made.schedules.put(ctx, schedule(queue, leapDay));
    assert(put.ok);
    await dueNow(put.value.name, 3_000);
    await fireSchedules(db, "home");
    // An hour back, and the same due times come round again.
    await database.query(
      `update platform.job_schedules set next_due_at =
         (select min(due_at) from platform.job_ticks where schedule = $1) where name = $1`,
      [put.value.name],
    );
    const again = await fireSchedules(db, "home");
    assert.deepEqual(
      again.fired.filter((one) => one.schedule === put.value.name),
      [{ schedule: put.value.name, jobs: 0 }],
    );
    assert.equal((await made.list(ctx, "ready", 10)).items.length, 1);
  });

  it("runs the job on one of two nodes at its due time", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const dueAts: unknown[] = [];
    const definitions = [
      defineJob({
        kind: "tick",
        handle: async ({ job }) => void dueAts.push(job.payload["dueAt"]),
      }),
    ];
    const one = jobs({ definitions });
    const two = jobs({ definitions });
    await Promise.all([one.start(), two.start()]);
    const put = await one.schedules.put(ctx, schedule(queue, { cron: "* * * * * *" }));
    assert(put.ok);
    await until(() => dueAts.length >= 3);
    await one.schedules.remove(ctx, put.value.name);
    assert.equal(new Set(dueAts).size, dueAts.length);
    const expected = dueAts.map((_, index) =>
      new Date(put.value.nextDueAt.getTime() + index * 1_000).toISOString(),
    );
    assert.deepEqual(dueAts, expected);
    assert.deepEqual(await one.schedules.list(ctx), []);
  });

  it("keeps its next due time when it is put again unchanged", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs();
    const first = await made.schedules.put(ctx, schedule(queue));
    assert(first.ok);
    await dueNow(first.value.name, 120_000);
    const again = await made.schedules.put(ctx, schedule(queue));
    assert(again.ok);
    assert(again.value.nextDueAt < first.value.nextDueAt);
    const changed = await made.schedules.put(ctx, schedule(queue, { cron: "0 0 1 1 *" }));
    assert(changed.ok);
    assert(changed.value.nextDueAt > first.value.nextDueAt);
    await made.schedules.remove(ctx, first.value.name);
  });

  it("refuses an expression that cannot be read", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const put = await jobs().schedules.put(ctx, schedule(queue, { cron: "now and then" }));
    assert(!put.ok);
    assert.equal(put.failure.code, "jobs.invalid_schedule");
  });

  it("goes on with the others when one cannot be read any more", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs();
    const good = await made.schedules.put(ctx, schedule(queue));
    const bad = await made.schedules.put(ctx, schedule(queue, { name: `bad-${queue}` }));
    assert(good.ok && bad.ok);
    await database.query(
      "update platform.job_schedules set time_zone = 'Gone/Zone' where name = $1",
      [bad.value.name],
    );
    await dueNow(good.value.name, 2_000);
    await dueNow(bad.value.name, 3_000);
    const firing = await fireSchedules(db, "home");
    assert(firing.fired.some((one) => one.schedule === good.value.name && one.jobs === 1));
    assert(firing.broken.some((one) => one.schedule === bad.value.name));
  });
});
