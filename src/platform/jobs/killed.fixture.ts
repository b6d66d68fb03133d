import { setTimeout as delay } from "node:timers/promises";
import { ok } from "../../kernel/result.ts";
import { createDb } from "../db/db.ts";
import { createWakeup } from "../wakeup/wakeup.ts";
import { createJobs, defineJob, jobTopics } from "./jobs.ts";

/*
 * A worker process to be killed: takes the URLs of the roles and a queue from its arguments, says
 * `begin <job> <attempt>` and `end <job> <attempt>` on its standard output.
 */
const [app = "", platform = "", queue = ""] = process.argv.slice(2);
const db = createDb({
  urlsOf: () => ({ app, platform }),
  placementOf: async () => ({ database: "home", schema: "shared" }),
});
const wakeup = createWakeup({ url: platform, topics: jobTopics });
const say = (line: string) => process.stdout.write(`${line}\n`);
const backoff = { baseMs: 10, maxMs: 50 };
const jobs = createJobs({
  db,
  database: "home",
  wakeup,
  leaseMs: 600,
  others: false,
  queues: { [queue]: { concurrency: 5 } },
  definitions: [
    defineJob({
      kind: "effect",
      backoff,
      handle: async (run) => {
        say(`begin ${run.job.id} ${run.job.attempt}`);
        await run.transact(async (tx) => {
          const values = [run.ctx.tenantId, run.job.id];
          await tx.run({ name: "", text: "insert into effects values ($1, $2)", values });
          await delay(Math.random() * 20);
          return ok(undefined);
        });
        say(`end ${run.job.id} ${run.job.attempt}`);
      },
    }),
    defineJob({
      kind: "poison",
      backoff,
      handle: async () => process.kill(process.pid, "SIGKILL") as never,
    }),
  ],
});
await wakeup.start();
await jobs.start();
say("ready");
