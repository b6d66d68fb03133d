import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { describe, it } from "node:test";
import { createJobsFixture, until } from "./jobs.fixture.ts";

describe("workers that are killed", async () => {
  const fixture = await createJobsFixture();
  const { database } = fixture;
  await database.query("create table shared.effects (tenant_id uuid, job_id uuid)");
  await database.query("grant insert, select on shared.effects to brandos_app");

  const spawnWorker = (queue: string) => {
    const { app, platform } = database.urls;
    const script = new URL("./killed.fixture.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [script, app, platform, queue], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines: string[] = [];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      lines.push(...text.split("\n").filter((line) => line !== ""));
    });
    return { child, lines };
  };
  const isAlive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;
  const kill = async (child: ChildProcess) => {
    if (!isAlive(child)) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  };

  it("lose no job and double no effect", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs();
    const count = 400;
    const enqueued = await made.enqueueMany(
      ctx,
      Array.from({ length: count }, () => ({ kind: "effect", payload: {}, queue })),
    );
    const effects = async () =>
      (await database.query<{ job_id: string }>("select job_id from shared.effects")).map(
        (row) => row.job_id,
      );
    let begun = 0;
    for (let kills = 0; kills < 4; kills++) {
      const { child, lines } = spawnWorker(queue);
      t.after(() => kill(child));
      await until(() => lines.filter((line) => line.startsWith("begin")).length >= 20);
      await kill(child);
      begun += lines.filter((line) => line.startsWith("begin")).length;
    }
    const { child, lines } = spawnWorker(queue);
    t.after(() => kill(child));
    await until(async () => (await effects()).length >= count);
    await until(async () => {
      const rows = await database.query(
        `select from platform.jobs_running where queue = $1
         union all select from platform.jobs_scheduled where queue = $1`,
        [queue],
      );
      return rows.length === 0;
    });
    await kill(child);
    begun += lines.filter((line) => line.startsWith("begin")).length;
    const done = await effects();
    assert.equal(done.length, count);
    assert.deepEqual(new Set(done), new Set(enqueued.map((job) => job.id)));
    // Otherwise no worker died in the middle of anything.
    assert(begun > count, `${begun} runs of ${count} jobs`);
  });

  it("park the job that kills them, and spare its neighbours", async (t) => {
    const { ctx, queue, jobs } = fixture.setup(t);
    const made = jobs();
    const [poison] = await made.enqueueMany(ctx, [
      { kind: "poison", payload: {}, queue, attemptsMax: 3 },
      ...Array.from({ length: 20 }, () => ({ kind: "effect", payload: {}, queue })),
    ]);
    assert(poison);
    let worker = spawnWorker(queue);
    t.after(() => kill(worker.child));
    let deaths = 0;
    await until(async () => {
      if (!isAlive(worker.child)) {
        deaths++;
        worker = spawnWorker(queue);
      }
      return (await made.find(ctx, poison.id))?.state === "dead";
    });
    await until(async () => {
      const rows = await database.query("select from shared.effects where tenant_id = $1", [
        ctx.tenantId,
      ]);
      return rows.length === 20;
    });
    const letters = (await made.deadLetters.list(ctx, 10)).items;
    assert.deepEqual(
      letters.map((letter) => [letter.id, letter.reason, letter.attempt]),
      [[poison.id, "lost", 3]],
    );
    assert.equal(deaths, 3);
  });
});
