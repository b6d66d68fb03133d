import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Random, seededRandom } from "../../kernel/random.ts";
import { createMemorySharedTier } from "./memory-tier.ts";
import type { RingMember } from "./ring-member.ts";
import { createRingTier, type RingTier } from "./ring-tier.ts";
import { cuttable } from "./ring-way.fixture.ts";

const names = ["a", "b", "c", "d"];
const keys = Array.from({ length: 12 }, (_, at) => `k${at}`);
const tagOf = (key: string) => `tag of ${key}`;
const beatMs = 10;

/** A process: its ring, its ways to the servers, and the versions it has heard of. */
interface Process {
  readonly ring: RingTier;
  readonly ways: ReadonlyMap<string, ReturnType<typeof cuttable>>;
  readonly heard: Map<string, number>;
}

/** What happened, so that a run in which nothing did is no proof. */
interface Tally {
  hits: number;
  /** Answers older than what their process had heard of. */
  old: number;
  fills: number;
  refused: number;
  left: number;
  doubted: number;
  reborn: number;
}

function createWorld(random: Random, tally: Tally) {
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item;
  const tiers = new Map(names.map((name) => [name, createMemorySharedTier()]));
  const truth = new Map(keys.map((key) => [key, 0]));
  const open = (heard: ReadonlyMap<string, number>): Process => {
    const ways = new Map(
      names.map((name) => [name, cuttable(() => tiers.get(name) as RingMember)]),
    );
    const members = [...ways].map(([name, { way }]) => ({ name, tier: way }));
    const ring = createRingTier({
      members,
      beatMs,
      pauseMs: 1,
      missedMax: 6,
      onEvent({ state, isDoubted }) {
        if (state === "away") tally.left++;
        if (isDoubted) tally.doubted++;
      },
    });
    return { ring, ways, heard: new Map(heard) };
  };
  const processes = [open(truth), open(truth), open(truth)];

  /** Cache-aside, with a tag: an older epoch makes a value a miss. */
  const read = async (process: Process): Promise<void> => {
    const { ring, heard } = process;
    const key = pick(keys);
    const least = heard.get(key) ?? 0;
    const [[found], [epoch = 0]] = await Promise.all([ring.read([key]), ring.epochs([tagOf(key)])]);
    const [version, storedEpoch] = found?.toString().split("@").map(Number) ?? [];
    if (version !== undefined && storedEpoch === epoch) {
      tally.hits++;
      if (version < least) tally.old++;
      if (random() < 0.8) return;
    }
    const claim = await ring.claim(key, 1_000);
    if (!claim) return;
    const [before] = await ring.epochs([tagOf(key)]);
    const loaded = truth.get(key) ?? 0;
    await delay(random() * 3);
    const bytes = Buffer.from(`${loaded}@${before}`);
    if (await ring.fill(claim, { key, bytes, ttlMs: 60_000 })) tally.fills++;
    else tally.refused++;
  };
  /** Changes a value; every process hears of it in its time, and removes it through its own ring. */
  const change = async (): Promise<void> => {
    const key = pick(keys);
    const version = (truth.get(key) ?? 0) + 1;
    truth.set(key, version);
    const isByTag = random() < 0.4;
    await Promise.all(
      processes.map(async (process) => {
        await delay(random() * 4);
        const { ring, heard } = process;
        // Kept for those that are away, even where nobody could be told.
        await (isByTag ? ring.renew([tagOf(key)]) : ring.remove([key])).catch(() => {});
        heard.set(key, Math.max(heard.get(key) ?? 0, version));
      }),
    );
  };
  const disturb = (): void => {
    const { ways } = pick(processes);
    const name = pick(names);
    const chance = random();
    if (chance < 0.45) ways.get(name)?.cut();
    else if (chance < 0.9) for (const way of ways.values()) way.mend();
    else tiers.set(name, createMemorySharedTier());
  };
  /** Another process in the place of one: it knows what all of the others had heard of. */
  const replace = async (): Promise<void> => {
    const at = Math.floor(random() * processes.length);
    const old = processes[at] as Process;
    await old.ring.stop();
    const others = processes.filter((_, index) => index !== at);
    const known = keys.map((key) => Math.min(...others.map(({ heard }) => heard.get(key) ?? 0)));
    processes[at] = open(new Map(keys.map((key, index) => [key, known[index] ?? 0])));
    tally.reborn++;
  };
  const stop = () => Promise.all(processes.map(({ ring }) => ring.stop()));
  return { processes, read, change, disturb, replace, stop };
}

describe("a ring of tiers in a bad network", () => {
  for (const seed of [1, 2, 3]) {
    it(`gives no process anything older than it has heard of (seed ${seed})`, async (t) => {
      const random = seededRandom(seed);
      const tally: Tally = {
        hits: 0,
        old: 0,
        fills: 0,
        refused: 0,
        left: 0,
        doubted: 0,
        reborn: 0,
      };
      const world = createWorld(random, tally);
      const untilMs = performance.now() + 2_500;
      const repeat = async (pauseMs: number, work: () => unknown) => {
        while (performance.now() < untilMs) {
          await work();
          await delay(random() * pauseMs);
        }
      };
      const readers = [0, 1, 2, 0, 1, 2].map((at) =>
        repeat(2, async () => {
          const process = world.processes[at] as Process;
          await world.read(process).catch((error) => {
            if (error.code !== "ERR_CACHE_TIER_AWAY") throw error;
          });
        }),
      );
      await Promise.all([
        ...readers,
        repeat(10, world.change),
        repeat(10, world.change),
        repeat(12, world.disturb),
        repeat(600, world.replace),
      ]);
      await world.stop();
      const { old, ...happened } = tally;
      t.diagnostic(`${old} of ${tally.hits} answers were old`);
      assert.equal(old, 0);
      for (const [what, count] of Object.entries(happened)) {
        assert(count > 0, `${what} happened in no case: ${JSON.stringify(tally)}`);
      }
    });
  }
});
