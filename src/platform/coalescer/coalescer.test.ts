import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type BatchReport, type CoalescerConfig, createCoalescer } from "./coalescer.ts";

/** A coalescer whose batches end when the test says so. */
function setup(config: Partial<CoalescerConfig<number, string>> = {}) {
  const gates: { key: string; items: readonly number[]; open: () => void; fail: () => void }[] = [];
  const waiters: (() => void)[] = [];
  const coalescer = createCoalescer<number, string>({
    name: "test",
    batchMax: 10,
    inFlightMax: 1,
    waitingMax: 100,
    run: (key, items) =>
      new Promise((resolve, reject) => {
        gates.push({
          key,
          items,
          open: () => resolve(items.map((item) => `${key}${item}`)),
          fail: () => reject(new Error(`batch of ${items.length}`)),
        });
        waiters.shift()?.();
      }),
    ...config,
  });
  let seen = 0;
  const nextBatch = async () => {
    if (gates.length === seen) await new Promise<void>((resolve) => waiters.push(resolve));
    const gate = gates[seen++];
    assert(gate);
    return gate;
  };
  return { coalescer, nextBatch };
}

describe("a coalescer", () => {
  it("runs callers of one turn as one batch and answers each with its own value", async () => {
    const { coalescer, nextBatch } = setup();
    const answers = [1, 2, 3].map((item) => coalescer.submit("a", item));
    const batch = await nextBatch();
    assert.deepEqual(batch.items, [1, 2, 3]);
    batch.open();
    assert.deepEqual(await Promise.all(answers), ["a1", "a2", "a3"]);
  });

  it("gathers callers while a batch is in flight and runs them as the next batch", async () => {
    const { coalescer, nextBatch } = setup();
    const first = coalescer.submit("a", 1);
    const flight = await nextBatch();
    const later = [2, 3].map((item) => coalescer.submit("a", item));
    flight.open();
    await first;
    const second = await nextBatch();
    assert.deepEqual(second.items, [2, 3]);
    second.open();
    await Promise.all(later);
  });

  it("starts a batch beside another only for as many callers as it is told", async () => {
    const { coalescer, nextBatch } = setup({ inFlightMax: 2, besideMin: 3 });
    const answers = [coalescer.submit("a", 1)];
    const first = await nextBatch();
    answers.push(coalescer.submit("a", 2), coalescer.submit("a", 3), coalescer.submit("a", 4));
    const beside = await nextBatch();
    assert.deepEqual(beside.items, [2, 3, 4]);
    answers.push(coalescer.submit("a", 5));
    beside.open();
    await answers[1];
    // One caller alone waits for the batch that is still under way.
    first.open();
    const last = await nextBatch();
    assert.deepEqual(last.items, [5]);
    last.open();
    assert.deepEqual(await Promise.all(answers), ["a1", "a2", "a3", "a4", "a5"]);
  });

  it("divides those who wait into as many batches as it is told, of two at least", async () => {
    const { coalescer, nextBatch } = setup({ inFlightMax: 9, divideInto: 3 });
    const answers = Array.from({ length: 12 }, (_, at) => coalescer.submit("a", at));
    // A third of those who are left each time.
    for (const size of [4, 3, 2, 2, 1]) {
      const batch = await nextBatch();
      assert.equal(batch.items.length, size);
      batch.open();
    }
    await Promise.all(answers);
  });

  it("keeps the batch size within its limit, in the order of arrival", async () => {
    const { coalescer, nextBatch } = setup({ batchMax: 2 });
    const answers = [1, 2, 3, 4, 5].map((item) => coalescer.submit("a", item));
    for (const expected of [[1, 2], [3, 4], [5]]) {
      const batch = await nextBatch();
      assert.deepEqual(batch.items, expected);
      batch.open();
    }
    await Promise.all(answers);
  });

  it("never mixes keys in one batch", async () => {
    const { coalescer, nextBatch } = setup();
    const answers = [coalescer.submit("a", 1), coalescer.submit("b", 2), coalescer.submit("a", 3)];
    const batches = [await nextBatch(), await nextBatch()];
    assert.deepEqual(
      batches.map(({ key, items }) => [key, items]),
      [
        ["a", [1, 3]],
        ["b", [2]],
      ],
    );
    for (const batch of batches) batch.open();
    await Promise.all(answers);
  });

  it("runs the members of a broken batch one by one, so that only the guilty fail", async () => {
    const reports: BatchReport[] = [];
    const coalescer = createCoalescer<number, number>({
      name: "test",
      batchMax: 10,
      inFlightMax: 1,
      waitingMax: 100,
      run: async (_, items) => {
        if (items.includes(2)) throw new Error("two is broken");
        return items.map((item) => item * 10);
      },
      onBatch: (report) => reports.push(report),
    });
    const answers = await Promise.allSettled([1, 2, 3].map((item) => coalescer.submit("a", item)));
    assert.deepEqual(
      answers.map((answer) => (answer.status === "fulfilled" ? answer.value : "refused")),
      [10, "refused", 30],
    );
    assert.deepEqual(
      reports.map(({ size, failed }) => [size, failed]),
      [
        [3, true],
        [1, false],
        [1, true],
        [1, false],
      ],
    );
  });

  it("fails every member at once when the error is not theirs", async () => {
    const { coalescer, nextBatch } = setup({ isSplittable: () => false });
    const answers = Promise.allSettled([1, 2].map((item) => coalescer.submit("a", item)));
    (await nextBatch()).fail();
    assert.deepEqual(
      (await answers).map((answer) => answer.status),
      ["rejected", "rejected"],
    );
  });

  it("refuses the caller that would wait behind too many, and nobody else", async () => {
    const { coalescer, nextBatch } = setup({ waitingMax: 2 });
    const waiting = [coalescer.submit("a", 1), coalescer.submit("a", 2)];
    await assert.rejects(coalescer.submit("a", 3), { code: "ERR_COALESCER_FULL" });
    (await nextBatch()).open();
    assert.deepEqual(await Promise.all(waiting), ["a1", "a2"]);
    assert.equal(coalescer.depth(), 0);
  });

  it("runs as many batches of a key at once as it may", async () => {
    const { coalescer, nextBatch } = setup({ batchMax: 1, inFlightMax: 2 });
    const answers = [1, 2, 3].map((item) => coalescer.submit("a", item));
    const [first, second] = [await nextBatch(), await nextBatch()];
    first.open();
    const third = await nextBatch();
    second.open();
    third.open();
    assert.deepEqual(await Promise.all(answers), ["a1", "a2", "a3"]);
  });
});
