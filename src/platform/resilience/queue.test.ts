import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createBoundedQueue } from "./queue.ts";

describe("a bounded queue", () => {
  it("makes producers wait while it is full, and keeps the order", async () => {
    const queue = createBoundedQueue<number>({ itemsMax: 2, whenFull: "wait" });
    const produced: number[] = [];
    const producing = (async () => {
      for (let n = 1; n <= 100; n++) {
        await queue.push(n);
        produced.push(n);
        assert.ok(queue.size <= 2);
      }
      queue.close();
    })();
    await new Promise(setImmediate);
    assert.deepEqual(produced, [1, 2]);
    const consumed: number[] = [];
    for await (const n of queue) consumed.push(n);
    await producing;
    assert.deepEqual(
      consumed,
      Array.from({ length: 100 }, (_, at) => at + 1),
    );
  });

  it("refuses what it has no room for", async () => {
    const queue = createBoundedQueue<string>({ itemsMax: 1, whenFull: "refuse" });
    await queue.push("a");
    await assert.rejects(queue.push("b"), { code: "ERR_QUEUE_FULL", retryable: true });
    assert.equal(queue.tryPush("b"), false);
    assert.equal(await queue.take(), "a");
    assert.equal(queue.tryPush("b"), true);
  });

  it("drops the oldest, and says which", async () => {
    const dropped: string[] = [];
    const queue = createBoundedQueue<string>({
      itemsMax: 2,
      whenFull: "drop_oldest",
      onDrop: (item) => dropped.push(item),
    });
    for (const item of ["a", "b", "c", "d"]) await queue.push(item);
    assert.deepEqual(dropped, ["a", "b"]);
    assert.deepEqual(queue.takeAll(), ["c", "d"]);
  });

  it("hands an item to whoever waits for one", async () => {
    const queue = createBoundedQueue<number | undefined>({ itemsMax: 1, whenFull: "wait" });
    const taken = [queue.take(), queue.take()];
    await queue.push(undefined);
    await queue.push(2);
    assert.deepEqual(await Promise.all(taken), [undefined, 2]);
    assert.equal(queue.size, 0);
  });

  it("lets producers and consumers leave when they are aborted", async () => {
    const queue = createBoundedQueue<string>({ itemsMax: 1, whenFull: "wait" });
    const caller = new AbortController();
    const hungry = assert.rejects(queue.take(caller.signal), /left/);
    caller.abort(new Error("left"));
    await hungry;
    await queue.push("a");
    const other = new AbortController();
    const waiting = assert.rejects(queue.push("b", other.signal), /left too/);
    other.abort(new Error("left too"));
    await waiting;
    assert.deepEqual(queue.takeAll(), ["a"]);
    assert.equal(queue.size, 0);
  });

  it("gives out what is in it when it is closed, and takes nothing more", async () => {
    const queue = createBoundedQueue<string>({ itemsMax: 1, whenFull: "wait" });
    await queue.push("a");
    const waiting = assert.rejects(queue.push("b"), { code: "ERR_QUEUE_CLOSED" });
    queue.close();
    queue.close();
    await waiting;
    await assert.rejects(queue.push("c"), { code: "ERR_QUEUE_CLOSED" });
    assert.equal(await queue.take(), "a");
    assert.equal(await queue.take(), undefined);
  });

  it("bounds the producers that wait, too", async () => {
    const queue = createBoundedQueue<number>({ itemsMax: 1, whenFull: "wait", waitingMax: 1 });
    await queue.push(1);
    const waiting = queue.push(2);
    await assert.rejects(queue.push(3), { code: "ERR_QUEUE_FULL" });
    assert.equal(await queue.take(), 1);
    await waiting;
  });
});
