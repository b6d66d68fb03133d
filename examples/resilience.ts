import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createPolicy, type ResilienceEvent } from "../src/platform/resilience/resilience.ts";

// A flaky peer on this machine, and what a policy makes of it: retries within a budget, a second
// attempt beside a slow one, a breaker, a fallback, a deadline.
// From an installed package: import { createPolicy } from "brandos/resilience";

const say = (text: string) => process.stdout.write(`${text}\n`);

/** What the peer does next. */
let mood: "well" | "breaks every second connection" | "sometimes slow" | "silent" | "gone" = "well";
let seen = 0;
const peer = createServer((request, response) => {
  seen++;
  if (mood === "silent") return;
  if (mood === "gone") return void request.socket.destroy();
  if (mood === "breaks every second connection" && seen % 2 === 1) {
    return void request.socket.destroy();
  }
  const slow = mood === "sometimes slow" && seen % 20 === 0;
  setTimeout(() => response.end(`answer ${seen}`), slow ? 400 : 2);
});
await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${(peer.address() as AddressInfo).port}/`;

const events = new Map<string, number>();
const count = (event: ResilienceEvent) => {
  const name = event.kind === "breaker" ? `breaker ${event.state}` : event.kind;
  events.set(name, (events.get(name) ?? 0) + 1);
};
const policy = createPolicy({
  name: "peer",
  timeoutMs: 300,
  retry: { attemptsMax: 3, backoff: { baseMs: 5, maxMs: 50 } },
  hedge: { after: "p95", afterMinMs: 20 },
  breaker: { failuresInARow: 5, openMs: 200 },
  bulkhead: { concurrencyMax: 16, queueMax: 64 },
  onEvent: count,
});
/** Asks the peer: reading it twice is as good as once. */
const ask = (options = {}) =>
  policy.run(async ({ signal }) => (await fetch(url, { signal })).text(), {
    isRepeatable: true,
    ...options,
  });
/** Lets so many callers ask, one after the other, and tells what came of it. */
async function show(what: typeof mood, calls: number): Promise<number> {
  mood = what;
  seen = 0;
  events.clear();
  let answered = 0;
  let slowestMs = 0;
  for (let call = 0; call < calls; call++) {
    const startedAt = performance.now();
    await ask().then(
      () => answered++,
      () => {},
    );
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
  }
  const told = [...events].map(([name, times]) => `${name} ${times}`).join(", ");
  say(`${what}: ${answered} of ${calls} answered, ${seen} requests, ${told || "no events"}`);
  return slowestMs;
}

await show("well", 100);
await show("breaks every second connection", 10);
await show("sometimes slow", 60);
await show("gone", 50);
if (policy.figures().breaker !== "open") throw new Error("the breaker is not open");
if (seen > 30) throw new Error(`a peer that is gone was asked ${seen} times`);
say(
  `a caller with something to fall back on: ${await policy.runOr(
    () => ask(),
    () => "older",
  )}`,
);

mood = "well";
while (policy.figures().breaker !== "closed") {
  await delay(20);
  await ask().catch(() => {});
}
say("the peer came back, and the breaker closed by itself");

mood = "silent";
const startedAt = performance.now();
await ask({ deadlineMs: startedAt + 100 }).then(
  () => {
    throw new Error("a silent peer answered");
  },
  (error: { readonly code?: string }) =>
    say(`silent: ${error.code} after ${Math.round((performance.now() - startedAt) / 50) * 50} ms`),
);
peer.closeAllConnections();
peer.close();
