import { ok } from "../../kernel/result.ts";
import type { Db } from "../../platform/db/db.ts";
import { defineJob, type JobDefinition } from "../../platform/jobs/jobs.ts";
import { closeBalances, sealEntries } from "./closing.ts";

/** Kind of the job that sums balances up and seals entries; one per tenant at a time is enough. */
export const ledgerUpkeepJob = "ledger.upkeep";

/** Seals made by one run at most: 1,000,000 entries. */
const sealsPerRun = 100;

/**
 * Jobs of the ledger. Schedule `ledger.upkeep` per tenant, each minute or after bursts; without it
 * everything stays right and reading balances slowly gets dearer.
 */
export function ledgerJobs(db: Db): readonly JobDefinition[] {
  const upkeep = defineJob({
    kind: ledgerUpkeepJob,
    handle: async (run) => {
      // Sealing first: its steps are transactions of their own, the last one completes the job.
      for (let seals = 0; seals < sealsPerRun && !run.signal.aborted; seals++) {
        const sealed = await db.commit(run.ctx.tenantId, (tx) => sealEntries(tx, run.ctx), {
          name: "ledger.seal",
        });
        if (!sealed) break;
        run.progress(seals / sealsPerRun, `sealed ${sealed.entries} entries`);
      }
      await run.transact(async (tx) => ok(await closeBalances(tx)));
    },
  });
  return [upkeep];
}
