import pg from "pg";
import { createSubject } from "./jobs-subject.ts";

/** How claiming fares where job tables usually collapse. */
export interface BacklogFigures {
  /** Jobs that wait, in a table the planner has no statistics of. */
  readonly waiting: number;
  readonly freshPerSecond: number;
  readonly heldSeconds: number;
  /** Pace of the last second while the snapshot was held. */
  readonly heldPerSecond: number;
}

/**
 * Works on a large backlog, first as it is, then while another connection holds a snapshot open;
 * new jobs arrive as fast as they are done.
 */
export async function withOldSnapshot(
  url: string,
  waiting: number,
  heldSeconds: number,
): Promise<BacklogFigures> {
  const subject = await createSubject(url);
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  // Statistics would come by themselves in the middle of it.
  await holder.query("alter table platform.jobs_ready set (autovacuum_enabled = off)");
  for (let made = 0; made < waiting; made += 10_000) await subject.enqueueMany(10_000);
  let done = 0;
  const end = await subject.work(() => done++, 10);
  let isOver = false;
  let fed = 0;
  const feeding = (async () => {
    while (!isOver) {
      if (fed < done) {
        fed += 5_000;
        await subject.enqueueMany(5_000);
      } else {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  })();
  const pace = async (seconds: number) => {
    const before = done;
    const startedAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    return Math.round(((done - before) / (performance.now() - startedAt)) * 1_000);
  };
  await pace(0.5);
  const freshPerSecond = await pace(1.5);
  await holder.query("begin isolation level repeatable read");
  await holder.query("select 1 from platform.jobs_ready limit 1");
  if (heldSeconds > 2) await pace(heldSeconds - 2);
  const heldPerSecond = await pace(2);
  await holder.query("rollback");
  isOver = true;
  await feeding;
  await end();
  await holder.end();
  await subject.stop();
  return { waiting, freshPerSecond, heldSeconds, heldPerSecond };
}
