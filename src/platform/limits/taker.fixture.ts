import { createDb } from "../db/db.ts";
import { connectRedis } from "../redis/redis.ts";
import { createLimiter, createPostgresLimitStore, createRedisLimitStore } from "./limits.ts";
import type { TakenReport, TakerOrders, TakerSays } from "./takers.fixture.ts";

// A process that takes tokens of one key as it is told to.

const orders = JSON.parse(process.argv[2] ?? "{}") as TakerOrders;
const say = (message: TakerSays) => process.send?.(message);

function openStore() {
  if ("redis" in orders.store) {
    const redis = connectRedis({
      urls: orders.store.redis,
      limits: { commandTimeoutMs: orders.waitMs ?? 100 },
    });
    return {
      store: createRedisLimitStore({ nodes: redis.servers }),
      ready: redis.untilReady(5_000),
    };
  }
  const { urls } = orders.store;
  const db = createDb({
    urlsOf: () => urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  return { store: createPostgresLimitStore({ db }), ready: Promise.resolve() };
}

const { store, ready } = openStore();
await ready;
const limiter = createLimiter({
  store,
  ...(orders.waitMs ? { waitMs: orders.waitMs } : {}),
  ...(orders.pauseMs ? { pauseMs: orders.pauseMs } : {}),
  onEvent: ({ kind }) => say({ event: kind }),
});

/** Takes until it is told to stop; every so often one, or as fast as the callers can. */
async function take(policy: TakerOrders["policies"][number], key: string): Promise<void> {
  for (;;) {
    if (isOver) return;
    const askedAt = clock();
    const asked = limiter.take(policy, key);
    const verdict = asked instanceof Promise ? await asked : asked;
    const { isAllowed, source } = verdict;
    reports.push([policy.name, askedAt, clock(), isAllowed ? 1 : 0, source]);
    const pauseMs = orders.everyMs ?? (isAllowed ? 0 : 1);
    if (pauseMs === 0) await new Promise(setImmediate);
    else await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** One clock for all processes of the machine, milliseconds with fractions. */
function clock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

let isOver = false;
let reports: TakenReport[] = [];
let running: Promise<unknown> = Promise.resolve();
process.on("message", (message: "start" | "report" | "stop") => {
  if (message === "start") {
    running = Promise.all(
      orders.policies.flatMap((policy) =>
        Array.from({ length: orders.callers }, () => take(policy, orders.key)),
      ),
    );
  } else if (message === "report") {
    say({ reports });
    reports = [];
  } else {
    isOver = true;
    void running.then(async () => {
      await limiter.stop();
      process.send?.({ reports, isStopped: true } satisfies TakerSays, () => process.exit(0));
    });
  }
});
process.on("disconnect", () => process.exit(1));
say({ isReady: true });
