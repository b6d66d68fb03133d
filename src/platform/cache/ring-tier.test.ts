import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { createRing } from "../../kernel/ring.ts";
import { createMemorySharedTier } from "./memory-tier.ts";
import type { RingMember } from "./ring-member.ts";
import { createRingTier, type MembershipEvent, type RingTierConfig } from "./ring-tier.ts";
import { cuttable } from "./ring-way.fixture.ts";
import { sharedTierSuite } from "./shared-tier.fixture.ts";

const names = ["a", "b", "c"];
const beatMs = 20;

/** Servers, and rings over them, each with ways of its own. */
function setup() {
  const tiers = new Map(names.map((name) => [name, createMemorySharedTier()]));
  const stops: (() => Promise<void>)[] = [];
  after(() => Promise.all(stops.map((stop) => stop())));
  const open = async (config: Partial<RingTierConfig> = {}) => {
    const ways = new Map(
      names.map((name) => [name, cuttable(() => tiers.get(name) as RingMember)]),
    );
    const members = [...ways].map(([name, { way }]) => ({ name, tier: way }));
    const events: MembershipEvent[] = [];
    const onEvent = (event: MembershipEvent) => events.push(event);
    const ring = createRingTier({ members, beatMs, pauseMs: 1, onEvent, ...config });
    stops.push(ring.stop);
    await ring.untilReady(5_000);
    return { ring, events, way: (name: string) => ways.get(name) as ReturnType<typeof cuttable> };
  };
  return { tiers, open };
}

const entry = (text: string, key: string = newId()) => ({
  key,
  bytes: Buffer.from(text),
  ttlMs: 60_000,
});

/** The two members that keep a name. */
function ownersOf(name: string): [string, string] {
  return createRing(names.map((each) => ({ name: each }))).ownersOf(name, 2) as [string, string];
}

async function until(condition: () => unknown): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 1));
}

for (const replicas of [1, 2, 3]) {
  sharedTierSuite(`a ring with ${replicas} replicas`, async () => {
    const { open } = setup();
    const [{ ring: tier }, { ring: other }] = [await open({ replicas }), await open({ replicas })];
    return { tier, other, stop: async () => {} };
  });
}

describe("a ring of tiers", () => {
  it("keeps each key on two members, and reads it while one of them is away", async () => {
    const { open, tiers } = setup();
    const { ring, way } = await open();
    const entries = Array.from({ length: 90 }, (_, at) => entry(String(at)));
    await ring.write(entries);
    const keys = entries.map(({ key }) => key);
    let copies = 0;
    for (const tier of tiers.values())
      copies += (await tier.read(keys)).filter((value) => value !== undefined).length;
    assert.equal(copies, 2 * 90);
    for (const name of names) {
      way(name).cut();
      const found = await ring.read(keys);
      assert.deepEqual(
        found.map(String),
        entries.map(({ bytes }) => String(bytes)),
      );
      assert.equal(ring.states().get(name), "away");
      way(name).mend();
      await until(() => ring.states().get(name) === "live");
    }
  });

  it("says that it is away when every member that keeps a key is, and removes nevertheless", async () => {
    const { open } = setup();
    const { ring, way } = await open();
    const kept = entry("old");
    await ring.write([kept]);
    for (const name of names) way(name).cut();
    const code = "ERR_CACHE_TIER_AWAY";
    await assert.rejects(ring.read([kept.key]), { code });
    await assert.rejects(ring.remove([kept.key]), { code });
    await assert.rejects(ring.claim(kept.key, 1_000), { code });
    await assert.rejects(ring.epochs(["t"]), { code });
    for (const name of names) way(name).mend();
    await ring.untilReady(5_000);
    assert.deepEqual(await ring.read([kept.key]), [undefined]);
  });

  it("tells a member that comes back what was removed and renewed meanwhile, before it reads it", async () => {
    const { open } = setup();
    const { ring, way, events } = await open();
    for (const name of names) {
      const entries = Array.from({ length: 30 }, () => entry("old"));
      const keys = entries.map(({ key }) => key);
      await ring.write(entries);
      const epochs = await ring.epochs(keys);
      way(name).cut();
      await ring.remove(keys);
      await ring.renew(keys);
      way(name).mend();
      await until(() => ring.states().get(name) === "live");
      for (const other of names) if (other !== name) way(other).cut();
      // Only the one that was away answers now.
      for (const [at, key] of keys.entries()) {
        const [found] = await ring.read([key]).catch(() => [undefined]);
        assert.equal(found, undefined);
        const [epoch] = await ring.epochs([key]).catch(() => [Infinity]);
        assert((epoch ?? 0) > (epochs[at] ?? 0));
      }
      for (const other of names) way(other).mend();
      await until(() => names.every((each) => ring.states().get(each) === "live"));
    }
    assert(events.every(({ isDoubted, state }) => state === "away" || isDoubted !== undefined));
  });

  it("takes what was written while a member was away for missed as well", async () => {
    const { open } = setup();
    const { ring, way } = await open({ replicas: 3 });
    const old = entry("old");
    await ring.write([old]);
    way("a").cut();
    await ring.write([entry("new", old.key)]);
    way("a").mend();
    await until(() => ring.states().get("a") === "live");
    way("b").cut();
    way("c").cut();
    assert.notEqual(String((await ring.read([old.key]))[0]), "old");
  });

  it("doubts all of a member that missed too much, for every process", async () => {
    const { open } = setup();
    const [here, there] = [await open({ missedMax: 10 }), await open()];
    const entries = Array.from({ length: 60 }, () => entry("old"));
    const keys = entries.map(({ key }) => key);
    await here.ring.write(entries);
    here.way("a").cut();
    await here.ring.remove(keys.slice(0, 40));
    here.way("a").mend();
    await until(() => here.ring.states().get("a") === "live");
    assert(here.events.some(({ member, isDoubted }) => member === "a" && isDoubted));
    const back = here.ring.states();
    assert.deepEqual([...back.values()], ["live", "live", "live"]);
    // The other one, which removed nothing by itself, believes nothing old of it either.
    await until(async () => {
      const found = await there.ring.read(keys.slice(0, 40));
      return found.every((value) => value === undefined);
    });
    await here.ring.write([entry("new", keys[0])]);
    assert.equal(String((await there.ring.read([keys[0] as string]))[0]), "new");
  });

  it("doubts what was being loaded when a member missed too much, whenever it is filled", async () => {
    const { open } = setup();
    const replicas = 1;
    const [here, there] = [await open({ missedMax: 10, replicas }), await open({ replicas })];
    const wanted = entry("old");
    const [owner] = ownersOf(wanted.key);
    const claim = await there.ring.claim(wanted.key, 60_000);
    assert(claim);
    here.way(owner).cut();
    const removed = [wanted.key, ...Array.from({ length: 60 }, () => newId())];
    await assert.rejects(here.ring.remove(removed), { code: "ERR_CACHE_TIER_AWAY" });
    here.way(owner).mend();
    await until(() => here.ring.states().get(owner) === "live");
    assert(here.events.some(({ member, isDoubted }) => member === owner && isDoubted));
    // From a value the other one learns that it was doubted.
    const telling = entry(
      "new",
      removed.find((key) => ownersOf(key)[0] === owner && key !== wanted.key),
    );
    await here.ring.write([telling]);
    assert.equal(String((await there.ring.read([telling.key]))[0]), "new");
    await there.ring.fill(claim, wanted);
    for (const { ring } of [here, there])
      assert.deepEqual(await ring.read([wanted.key]), [undefined]);
  });

  it("doubts a server that may have gone back to an older state", async () => {
    const { open, tiers } = setup();
    const { ring, way } = await open({ replicas: 1 });
    const old = Array.from({ length: 20 }, () => entry("old"));
    const keys = old.map(({ key }) => key);
    await ring.write(old);
    const states = await Promise.all([...tiers].map(([, tier]) => tier.read(keys)));
    await ring.remove(keys);
    for (const [at, name] of names.entries()) {
      way(name).cut();
      const found = states[at] ?? [];
      const saved = old.flatMap((each, index) => {
        const bytes = found[index];
        return bytes ? [{ ...each, bytes }] : [];
      });
      // As a server that loads what it saved before the removals.
      await tiers.get(name)?.write(saved);
      way(name).restart();
    }
    await ring.read(keys).catch(() => {});
    for (const name of names) way(name).mend();
    await until(() => [...ring.states().values()].every((state) => state === "live"));
    assert((await ring.read(keys)).every((value) => value === undefined));
  });

  it("believes nothing at first, unless a process that was there before still is", async () => {
    const { open } = setup();
    const old = entry("old");
    const first = await open();
    await first.ring.write([old]);
    const second = await open();
    assert.equal(String((await second.ring.read([old.key]))[0]), "old");
    await first.ring.stop();
    await second.ring.stop();
    // Whatever changes now nobody hears of. The word of those who went is still there at first.
    const third = await open();
    assert.deepEqual(await third.ring.read([old.key]), [undefined]);
    assert(third.events.every(({ isDoubted }) => isDoubted));
  });

  it("does not keep what was loaded while its key was removed on one member only", async () => {
    const { open } = setup();
    const [here, there] = [await open({ replicas: 3 }), await open({ replicas: 3 })];
    const wanted = entry("old");
    for (const name of names) {
      const claim = await here.ring.claim(wanted.key, 60_000);
      assert(claim);
      for (const other of names) if (other !== name) there.way(other).cut();
      await there.ring.remove([wanted.key]);
      assert.equal(await here.ring.fill(claim, wanted), false);
      assert.deepEqual(await here.ring.read([wanted.key]), [undefined]);
      for (const other of names) there.way(other).mend();
      await until(() => [...there.ring.states().values()].every((state) => state === "live"));
    }
  });

  it("keeps the epochs of tags when a member is emptied, and begins those no member knows", async () => {
    const { open, tiers } = setup();
    const { ring, way } = await open();
    const tags = Array.from({ length: 30 }, () => newId());
    const before = await ring.epochs(tags);
    for (const name of names) {
      way(name).cut();
      await ring.epochs(tags);
      tiers.set(name, createMemorySharedTier());
      way(name).mend();
      await until(() => ring.states().get(name) === "live");
      assert.deepEqual(await ring.epochs(tags), before);
    }
    for (const name of names) tiers.set(name, createMemorySharedTier());
    const begun = await ring.epochs(tags);
    assert(begun.every((epoch, at) => epoch > (before[at] ?? 0)));
  });

  it("believes no tag below its own renewal when the only member that knew it is emptied", async () => {
    const { open, tiers } = setup();
    const [here, there] = [await open(), await open()];
    for (const isToldLater of [false, true]) {
      const tag = newId();
      const [first, second] = ownersOf(tag);
      const [old] = await there.ring.epochs([tag]);
      here.way(second).cut();
      if (isToldLater) here.way(first).cut();
      const renewing = here.ring.renew([tag]);
      if (isToldLater) await assert.rejects(renewing, { code: "ERR_CACHE_TIER_AWAY" });
      else await renewing;
      here.way(first).mend();
      await until(() => here.ring.states().get(first) === "live");
      const emptied = createMemorySharedTier();
      tiers.set(first, emptied);
      // From the one that was not told the emptied one learns what was before.
      assert.deepEqual(await there.ring.epochs([tag]), [old]);
      const [believed] = await here.ring.epochs([tag]);
      assert((believed ?? 0) > (old ?? 0), `${believed} after ${old}`);
      here.way(second).mend();
      await until(() => here.ring.states().get(second) === "live");
      const [last] = await here.ring.epochs([tag]);
      assert((last ?? 0) >= (believed ?? 0));
    }
  });

  it("lets no epoch go back when the member with the largest is lost", async () => {
    const { open } = setup();
    const { ring, way } = await open({ replicas: 2 });
    const tags = Array.from({ length: 30 }, () => newId());
    for (const name of names) {
      await ring.renew(tags);
      const before = await ring.epochs(tags);
      way(name).cut();
      const without = await ring.epochs(tags);
      assert.deepEqual(without, before);
      await ring.renew(tags);
      const renewed = await ring.epochs(tags);
      assert(renewed.every((epoch, at) => epoch > (before[at] ?? 0)));
      way(name).mend();
      await until(() => ring.states().get(name) === "live");
      const again = await ring.epochs(tags);
      assert(again.every((epoch, at) => epoch >= (renewed[at] ?? 0)));
    }
  });
});
