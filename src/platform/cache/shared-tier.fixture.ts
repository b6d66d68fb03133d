import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import type { SharedTier } from "./shared-tier.ts";

/** A tier, and another one over the same server, as a second process has it. */
export interface OpenedTiers {
  readonly tier: SharedTier;
  readonly other: SharedTier;
  stop(): Promise<void>;
}

const long = 60_000;
const short = 60;

const entry = (text: string, key: string = newId(), ttlMs = long) => ({
  key,
  bytes: Buffer.from(text),
  ttlMs,
});

/** What every backend of a shared tier must do. */
export function sharedTierSuite(name: string, open: () => Promise<OpenedTiers>): void {
  describe(`a shared tier in ${name}`, async () => {
    const opened = await open();
    after(opened.stop);
    testValues(opened);
    testClaims(opened);
    testRemovalAgainstClaims(opened);
    testEpochs(opened);
  });
}

function testValues({ tier, other }: OpenedTiers): void {
  it("gives in one process what was written in another, in the order asked", async () => {
    const entries = Array.from({ length: 60 }, (_, at) => entry(`value ${at}`));
    await tier.write(entries);
    const keys = [...entries.map(({ key }) => key).toReversed(), newId()];
    const found = await other.read(keys);
    const expected = [...entries.map(({ bytes }) => bytes).toReversed(), undefined];
    assert.deepEqual(found, expected);
    assert.deepEqual(await tier.read([]), []);
    await tier.write([]);
    await tier.remove([]);
  });

  it("keeps every byte, and values of nothing and of a megabyte", async () => {
    const every = Buffer.from(Uint8Array.from({ length: 1_024 }, (_, at) => at & 255));
    const values = [every, Buffer.alloc(0), Buffer.alloc(1 << 20, 255)];
    const entries = values.map((bytes) => ({ key: newId(), bytes, ttlMs: long }));
    await tier.write(entries);
    const found = await other.read(entries.map(({ key }) => key));
    assert(values.every((bytes, at) => found[at]?.equals(bytes)));
  });

  it("replaces what is written again, and has nothing of what was removed", async () => {
    const first = entry("first");
    await tier.write([first, entry("unrelated")]);
    await other.write([entry("second", first.key)]);
    assert.deepEqual(await tier.read([first.key]), [Buffer.from("second")]);
    await other.remove([first.key, newId()]);
    assert.deepEqual(await tier.read([first.key]), [undefined]);
  });

  it("forgets a value when its time is over, not before", async () => {
    const [passing, staying] = [entry("passing", newId(), short), entry("staying")];
    const writtenAtMs = performance.now();
    await tier.write([passing, staying]);
    await until(async () => (await other.read([passing.key]))[0] === undefined);
    // Servers count in whole milliseconds.
    assert(performance.now() >= writtenAtMs + short - 1);
    assert.deepEqual(await other.read([staying.key]), [staying.bytes]);
  });
}

function testClaims({ tier, other }: OpenedTiers): void {
  it("gives the right to load to one of many who ask at once, whose value all find", async () => {
    const wanted = entry("loaded");
    const asked = await Promise.all(
      Array.from({ length: 40 }, (_, at) => (at % 2 ? tier : other).claim(wanted.key, long)),
    );
    const claims = asked.filter((claim) => claim !== undefined);
    assert.equal(claims.length, 1);
    const [claim] = claims;
    assert(claim);
    assert.deepEqual(await tier.read([wanted.key]), [undefined]);
    assert.equal(await tier.fill(claim, wanted), true);
    assert.deepEqual(await other.read([wanted.key]), [wanted.bytes]);
  });

  it("gives the right again once it was used, and beside a value that is there", async () => {
    const wanted = entry("first");
    const first = await tier.claim(wanted.key, long);
    assert(first && (await tier.fill(first, wanted)));
    // Refreshing ahead: the old value is read until the new one is there.
    const second = await other.claim(wanted.key, long);
    assert(second);
    assert.deepEqual(await tier.read([wanted.key]), [wanted.bytes]);
    assert.equal(await tier.fill(first, entry("again", wanted.key)), false);
    assert.equal(await other.fill(second, entry("second", wanted.key)), true);
    assert.deepEqual(await tier.read([wanted.key]), [Buffer.from("second")]);
  });

  it("gives the right to the next one when it was given back, or its time is over", async () => {
    const key = newId();
    const first = await tier.claim(key, long);
    assert(first);
    await other.unclaim({ token: newId() }, key);
    assert.equal(await other.claim(key, long), undefined);
    await tier.unclaim(first, key);
    const askedAtMs = performance.now();
    const second = await other.claim(key, short);
    assert(second);
    let third = await tier.claim(key, long);
    await until(async () => {
      third ??= await tier.claim(key, long);
      return third !== undefined;
    });
    assert(performance.now() >= askedAtMs + short - 1);
    assert.equal(await other.fill(second, entry("too late", key)), false);
    assert(third && (await tier.fill(third, entry("in time", key))));
    assert.deepEqual(await other.read([key]), [Buffer.from("in time")]);
  });
}

function testRemovalAgainstClaims({ tier, other }: OpenedTiers): void {
  it("does not take what was being loaded when its key was removed", async () => {
    const wanted = entry("old");
    const claim = await tier.claim(wanted.key, long);
    assert(claim);
    await other.remove([wanted.key]);
    assert.equal(await tier.fill(claim, wanted), false);
    assert.deepEqual(await other.read([wanted.key]), [undefined]);
    assert(await other.claim(wanted.key, long), "the next one may load at once");
  });

  it("does not take what was being loaded when its key was written", async () => {
    const wanted = entry("old");
    const claim = await tier.claim(wanted.key, long);
    assert(claim);
    await other.write([entry("new", wanted.key)]);
    assert.equal(await tier.fill(claim, wanted), false);
    assert.deepEqual(await tier.read([wanted.key]), [Buffer.from("new")]);
  });

  it("never gives what was loaded before a removal, however loads and removals race", async () => {
    const keys = Array.from({ length: 4 }, (): string => newId());
    // Versions as the truth has them, and those whose removal was acknowledged.
    const current = new Map(keys.map((key) => [key, 0]));
    const acknowledged = new Map(current);
    let [changes, hits, refused] = [0, 0, 0];
    const isOver = () => changes >= 100 && hits >= 200 && refused >= 5;
    const use = async (from: SharedTier, at: number) => {
      while (!isOver()) {
        await turns(1);
        const key = keys[at++ % keys.length] as string;
        const least = acknowledged.get(key) ?? 0;
        const [found] = await from.read([key]);
        if (found) {
          hits++;
          assert(Number(found.toString()) >= least, `${found} where ${least} was acknowledged`);
        }
        const claim = await from.claim(key, long);
        if (!claim) continue;
        const loaded = current.get(key) ?? 0;
        await turns(2);
        if (!(await from.fill(claim, entry(String(loaded), key)))) refused++;
      }
    };
    const change = async (from: SharedTier, mine: readonly string[]) => {
      while (!isOver()) {
        const key = mine[changes++ % mine.length] as string;
        const version = (current.get(key) ?? 0) + 1;
        current.set(key, version);
        await from.remove([key]);
        acknowledged.set(key, version);
        await turns(changes % 9);
      }
    };
    const users = [tier, other, tier, other, tier, other].map(use);
    await Promise.all([...users, change(tier, keys.slice(0, 2)), change(other, keys.slice(2))]);
  });
}

/** Lets others run. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function testEpochs({ tier, other }: OpenedTiers): void {
  it("gives a tag the same epoch everywhere, until it is renewed: then a larger one", async () => {
    const tags = [newId(), newId()];
    const before = await tier.epochs(tags);
    assert(before.every((epoch) => Number.isSafeInteger(epoch) && epoch > 0));
    assert.deepEqual(await other.epochs(tags.toReversed()), before.toReversed());
    const [renewed] = await other.renew(tags.slice(0, 1));
    const after = await tier.epochs(tags);
    assert.equal(after[0], renewed);
    assert((after[0] ?? 0) > (before[0] ?? 0));
    assert.equal(after[1], before[1]);
    assert.deepEqual(await tier.epochs([]), []);
    assert.deepEqual(await tier.renew([]), []);
  });

  it("lets an epoch grow with each renewal, however many come at once", async () => {
    const tag = newId();
    let last = 0;
    for (let round = 0; round < 20; round++) {
      const renewed = await Promise.all([tier, other, tier].map((each) => each.renew([tag])));
      const [epoch = 0] = await (round % 2 ? tier : other).epochs([tag]);
      assert.equal(epoch, Math.max(...renewed.flat()));
      assert(epoch > last, `${epoch} after ${last}`);
      last = epoch;
    }
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
