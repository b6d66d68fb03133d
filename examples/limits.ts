import {
  createLimiter,
  createMemoryLimitStore,
  createPostgresLimitStore,
  type LimitEvent,
  type LimitPolicy,
  type LimitStore,
  limitHeaders,
} from "../src/platform/limits/limits.ts";
import { openPlayground, say } from "./playground.fixture.ts";

// Five ways of counting at the edge of a window; then two nodes that share a limit and take tokens
// ahead; then the same node without its store.
// From an installed package: import { createLimiter } from "brandos/limits".

const windowMs = 1_000;
let nowMs = 0;
const policies: readonly LimitPolicy[] = [
  { name: "fixed_window", algorithm: "fixed_window", limit: 8, windowMs },
  { name: "sliding_counter", algorithm: "sliding_counter", limit: 8, windowMs },
  { name: "sliding_log", algorithm: "sliding_log", limit: 8, windowMs },
  { name: "token_bucket", algorithm: "token_bucket", limit: 8, windowMs, burst: 4 },
];
say("8 a second, asked for 8 at 0.9 s, at 1.1 s and at 1.5 s; # is one that was admitted");
for (const policy of policies) {
  const limiter = createLimiter({ store: createMemoryLimitStore(() => nowMs) });
  const burst = async (atMs: number) => {
    nowMs = atMs;
    let admitted = "";
    for (let at = 0; at < 8; at++) {
      const { isAllowed } = await limiter.take(policy, "k");
      admitted += isAllowed ? "#" : ".";
    }
    return admitted;
  };
  // The first token, at 0 s, begins the windows.
  nowMs = 0;
  await limiter.take(policy, "k");
  const bursts = [await burst(900), await burst(1_100), await burst(1_500)];
  say(`  ${policy.name.padEnd(16)}${bursts.join("  ")}`);
}

await using playground = await openPlayground("");
const { db } = playground;
const shared: LimitPolicy = {
  name: "api",
  algorithm: "fixed_window",
  limit: 200,
  windowMs: 60_000,
  lease: { share: 0.1, ms: 1_000 },
};
let questions = 0;
const state = { isAway: false };

/** A node of its own, over the same database. */
function openNode(name: string) {
  const postgres = createPostgresLimitStore({ db });
  const store: LimitStore = {
    async apply(calls) {
      questions++;
      if (state.isAway) throw new Error("the database is away");
      return postgres.apply(calls);
    },
  };
  const onEvent = ({ kind }: LimitEvent) => say(`${name}: ${kind}`);
  return createLimiter({ store, onEvent });
}
const nodes = [openNode("anna"), openNode("bert")] as const;
let admitted = 0;
for (let at = 0; at < 300; at++) {
  const verdict = await nodes[at % 2]?.take(shared, "key-1");
  if (verdict?.isAllowed) admitted++;
}
say(`300 requests to two nodes: ${admitted} admitted, ${questions} questions to the database`);
if (admitted !== shared.limit) throw new Error(`${admitted} are not the limit`);
say(`headers: ${JSON.stringify(limitHeaders([await nodes[0].take(shared, "key-1")]))}`);

state.isAway = true;
for (const fallback of ["open", "strict"] as const) {
  const policy: LimitPolicy = { ...shared, fallback };
  let alone = 0;
  for (let at = 0; at < 300; at++) {
    const { isAllowed } = await nodes[0].take(policy, `key of ${fallback}`);
    if (isAllowed) alone++;
  }
  say(`without the database, ${fallback}: ${alone} of 300 admitted by anna alone`);
}
for (const node of nodes) await node.stop();
