/**
 * A process full of buyers: says "ready", waits for "go", then lets them all reserve one unit at once
 * and prints how many got one. Started by buyers.e2e.test.ts.
 */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { systemContext } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { createDb } from "../../platform/db/db.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import type { VariantId } from "../catalog/contract.ts";
import type { ReservationStrategy } from "./contract.ts";
import { createInventory } from "./index.ts";
import { wish } from "./setup.fixture.ts";

/** What a process of buyers is told, as JSON in its first argument. */
export interface BuyersTask {
  readonly urls: { readonly app: string; readonly platform: string };
  readonly tenantId: TenantId;
  readonly variantId: VariantId;
  readonly buyers: number;
  readonly strategy: ReservationStrategy;
}

/** What it prints at the end: how often each outcome came. */
export type BuyersTally = Readonly<Record<string, number>>;

async function main(task: BuyersTask): Promise<void> {
  const db = createDb({
    urlsOf: () => task.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
    poolLimits: { acquireTimeoutMs: 60_000, waitingMax: 10_000 },
  });
  const inventory = createInventory({ db, uow: createUnitOfWork(db) });
  const ctx = systemContext(task.tenantId, `buyers-${process.pid}`);
  const input = createInterface({ input: process.stdin });
  await inventory.availability(task.tenantId, [task.variantId]);
  console.log("ready");
  await once(input, "line");
  const tally: Record<string, number> = {};
  await Promise.all(
    Array.from({ length: task.buyers }, async () => {
      const request = wish([{ variantId: task.variantId, quantity: 1 }]);
      const outcome = await inventory.reserve(ctx, request, task.strategy);
      const name = outcome.ok ? "sold" : outcome.failure.code;
      tally[name] = (tally[name] ?? 0) + 1;
    }),
  );
  console.log(JSON.stringify(tally));
  input.close();
  await db.stop();
}

await main(JSON.parse(process.argv[2] ?? "{}") as BuyersTask);
