import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { seededRandom } from "../../kernel/random.ts";
import type { LimitState } from "./algorithm.ts";
import type { LimitAlgorithm, LimitPolicy } from "./policy.ts";
import { settleCall, storedKey } from "./settle.ts";
import type { LimitStore, StoreAnswer, StoreAsk, StoreCall } from "./store.ts";

/** A store, and another one over the same limits, as a second process has it. */
export interface OpenedStores {
  readonly store: LimitStore;
  readonly other: LimitStore;
  stop(): Promise<void>;
}

const tokenAlgorithms = ["fixed_window", "sliding_log", "sliding_counter", "token_bucket"] as const;

const policyOf = (algorithm: LimitAlgorithm, change: Partial<LimitPolicy> = {}): LimitPolicy => ({
  name: "suite",
  algorithm,
  limit: 50,
  // Nothing comes back while a test runs.
  windowMs: 3_600_000,
  ...change,
});

const take = (policy: LimitPolicy, key: string, change: Partial<StoreAsk> = {}): StoreAsk => {
  const { cost = 1 } = change;
  return { verb: "take", policy, key, cost, upTo: cost, ticket: 0, ...change };
};

async function ask(
  store: LimitStore,
  ...call: readonly StoreAsk[]
): Promise<readonly StoreAnswer[]> {
  const [answers] = await store.apply([call]);
  assert(answers);
  return answers;
}

async function one(store: LimitStore, asked: StoreAsk): Promise<StoreAnswer> {
  const [answer] = await ask(store, asked);
  assert(answer);
  return answer;
}

/** What every backend of limits must do. */
export function limitStoreSuite(name: string, open: () => Promise<OpenedStores>): void {
  describe(`limits in ${name}`, async () => {
    const opened = await open();
    after(opened.stop);
    testTokens(opened);
    testTogether(opened);
    testPlaces(opened);
    testArithmetic(opened);
  });
}

function testTokens({ store, other }: OpenedStores): void {
  for (const algorithm of tokenAlgorithms) {
    it(`by ${algorithm} admit as many as there are of many who race for them`, async () => {
      const [key, policy] = [newId(), policyOf(algorithm)];
      const race = () =>
        Promise.all(
          Array.from({ length: 200 }, (_, at) =>
            one(at % 2 === 0 ? store : other, take(policy, key)),
          ),
        );
      // The first one makes the key; those who race then find it.
      const answers = [await one(store, take(policy, key)), ...(await race())];
      const granted = answers.filter(({ isGranted }) => isGranted);
      assert.equal(granted.length, policy.limit);
      const left = granted.map(({ remaining }) => remaining).toSorted((a, b) => a - b);
      assert.deepEqual(
        left,
        Array.from({ length: policy.limit }, (_, at) => at),
      );
      for (const { isGranted, retryAfterMs } of answers) assert.equal(retryAfterMs > 0, !isGranted);
    });

    it(`by ${algorithm} come back with time`, async () => {
      const [key, policy] = [newId(), policyOf(algorithm, { limit: 2, windowMs: 150 })];
      const first = await one(store, take(policy, key, { cost: 2 }));
      assert.equal(first.granted, 2);
      for (;;) {
        const again = await one(other, take(policy, key));
        if (again.isGranted) {
          const waitedMs = again.atMs - first.atMs;
          // The bucket has a token after half of the window, the others after all of it.
          assert(waitedMs >= (algorithm === "token_bucket" ? 75 : 150), `${waitedMs} ms`);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, again.retryAfterMs));
      }
    });

    it(`by ${algorithm} are given ahead, half of what is left at most, and taken back`, async () => {
      const [key, policy] = [newId(), policyOf(algorithm)];
      const ahead = await one(store, take(policy, key, { upTo: 40 }));
      assert.equal(ahead.granted, 25);
      assert.equal(ahead.remaining, 25);
      const back = { verb: "give_back", cost: 20, upTo: 20, ticket: ahead.atMs } as const;
      const given = await one(other, take(policy, key, back));
      assert.equal(given.remaining, 45);
      assert.equal((await one(other, take(policy, key, { cost: 45 }))).granted, 45);
      assert.equal((await one(store, take(policy, key))).isGranted, false);
    });
  }
}

function testTogether({ store, other }: OpenedStores): void {
  it("that are asked together are taken from all of them or from none", async () => {
    const policies = [
      policyOf("fixed_window", { name: "first", limit: 5 }),
      policyOf("token_bucket", { name: "second", limit: 3 }),
      policyOf("sliding_counter", { name: "third", limit: 9 }),
    ];
    const key = newId();
    const call = policies.map((policy) => take(policy, key));
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, at) => ask(at % 2 === 0 ? store : other, ...call)),
    );
    const isGranted = (asked: readonly StoreAnswer[]) => asked.every((each) => each.isGranted);
    const granted = answers.filter(isGranted);
    // Over several servers one may be refused for what another one takes and gives back.
    assert(granted.length <= 3);
    for (let missing = 3 - granted.length; missing > 0; missing--) {
      assert(isGranted(await ask(store, ...call)));
    }
    for (const refused of answers.filter((asked) => !isGranted(asked))) {
      assert(refused.every(({ granted }) => granted === 0));
    }
    const left = await Promise.all(policies.slice(0, 3).map((policy) => peek(other, policy, key)));
    assert.equal(left[0], 2);
    assert.equal(left[2], 6);
  });

  it("of different keys and policies do not meet", async () => {
    const [first, second] = [
      policyOf("fixed_window", { limit: 1 }),
      policyOf("fixed_window", { name: "b", limit: 1 }),
    ];
    const keys = Array.from({ length: 60 }, () => newId());
    const calls = keys.flatMap((key) => [[take(first, key)], [take(second, key)]]);
    const answers = await store.apply(calls);
    assert(answers.flat().every(({ isGranted }) => isGranted));
    const again = await other.apply(calls);
    assert(again.flat().every(({ isGranted }) => !isGranted));
  });

  it("are made by two processes at the same moment and counted once", async () => {
    const policy = policyOf("fixed_window", { limit: 1 });
    for (let round = 0; round < 20; round++) {
      const keys = Array.from({ length: 8 }, () => newId());
      const from = (each: LimitStore, order: readonly string[]) =>
        each.apply(order.map((key): StoreCall => [take(policy, key)]));
      const [here, there] = await Promise.all([from(store, keys), from(other, keys.toReversed())]);
      const granted = [...here, ...there].flat().filter(({ isGranted }) => isGranted);
      assert.equal(granted.length, keys.length);
    }
  });
}

/** Tokens left, looked at by giving none back. */
async function peek(store: LimitStore, policy: LimitPolicy, key: string): Promise<number> {
  const nothing = { verb: "give_back", cost: 0, upTo: 0, ticket: 0 } as const;
  return (await one(store, take(policy, key, nothing))).remaining;
}

function testPlaces({ store, other }: OpenedStores): void {
  const policy = policyOf("concurrency", { limit: 3, windowMs: 60_000 });

  it("of those at once are given back, and had by somebody else then", async () => {
    const key = newId();
    const enter = (from: LimitStore, ticket: number) => one(from, take(policy, key, { ticket }));
    const entered = await Promise.all(
      Array.from({ length: 12 }, (_, at) => enter(at % 2 === 0 ? store : other, at + 1)),
    );
    const holders = entered.flatMap(({ isGranted }, at) => (isGranted ? [at + 1] : []));
    assert.equal(holders.length, 3);
    const [first = 0, second = 0] = holders;
    assert.equal((await enter(other, 99)).isGranted, false);
    await one(other, take(policy, key, { verb: "give_back", ticket: first }));
    assert.equal((await enter(other, 99)).isGranted, true);
    // Who holds one already has it again: its answer may have been lost.
    assert.equal((await enter(store, second)).isGranted, true);
    assert.equal((await enter(store, 100)).isGranted, false);
  });

  it("of those at once end by themselves unless they are extended", async () => {
    const [key, brief] = [newId(), policyOf("concurrency", { limit: 2, windowMs: 200 })];
    const ask = (verb: StoreAsk["verb"], ticket: number) =>
      one(store, take(brief, key, { verb, ticket }));
    const first = await ask("take", 1);
    await ask("take", 2);
    for (;;) {
      const kept = await ask("extend", 2);
      assert(kept.isGranted);
      const third = await ask("take", 3);
      if (!third.isGranted) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      assert(third.atMs >= first.atMs + brief.windowMs);
      break;
    }
    assert.equal((await ask("take", 4)).isGranted, false, "the extended one is there still");
    const beyond = await ask("extend", 5);
    assert(beyond.isGranted && beyond.remaining === 0, "a holder counts whether known or not");
  });
}

function testArithmetic({ store }: OpenedStores): void {
  for (const algorithm of [...tokenAlgorithms, "concurrency"] as const) {
    it(`by ${algorithm} are counted to the token as the arithmetic says`, async () => {
      const random = seededRandom(4_711);
      const whole = (most: number) => Math.floor(random() * most);
      const states = new Map<string, LimitState>();
      const policy = policyOf(algorithm, {
        limit: 7,
        windowMs: 130,
        ...(algorithm === "token_bucket" ? { burst: 11 } : {}),
      });
      const keys = [newId(), newId()];
      const grants: number[] = [];
      for (let round = 0; round < 250; round++) {
        const verb = (["take", "take", "take", "give_back", "extend"] as const)[whole(5)] ?? "take";
        const isPlace = algorithm === "concurrency";
        const cost = isPlace ? 1 : 1 + whole(3);
        const ticket = isPlace ? whole(10) : (grants[whole(grants.length)] ?? 0);
        const asked = take(policy, keys[whole(2)] ?? "", {
          verb: verb === "extend" && !isPlace ? "take" : verb,
          cost,
          upTo: isPlace ? 1 : cost + whole(4),
          ticket,
        });
        const answer = await one(store, asked);
        // The same at the moment at which the store did it.
        const [expected] = settleCall([asked], answer.atMs, {
          read: (each) => states.get(storedKey(each)),
          write: (each, state) => states.set(storedKey(each), state),
        });
        assert.deepEqual(answer, expected, `round ${round}, ${asked.verb}`);
        if (answer.granted > 0) grants.push(answer.atMs);
        if (whole(12) === 0) await new Promise((resolve) => setTimeout(resolve, whole(90)));
      }
    });
  }
}
