import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { newId, type TenantId } from "../../kernel/ids.ts";
import {
  type BufferedWritesConfig,
  createBufferedWrites,
  createCache,
  type Put,
  type WriteBehindEvent,
} from "./cache.ts";

// The timers of a cache do not keep a process alive.
const alive = setInterval(() => {}, 60_000);
after(() => clearInterval(alive));

const setup = (change: Partial<BufferedWritesConfig<number>> = {}) => {
  const batches: (readonly Put<number>[])[] = [];
  const events: WriteBehindEvent[] = [];
  const writes = createBufferedWrites<number>({
    name: "test",
    async sink(_: TenantId, puts) {
      batches.push(puts);
    },
    gatherMs: 1_000_000,
    onEvent: (event) => events.push(event),
    ...change,
  });
  const tenantId = newId<"tenant">();
  const put = (key: string, value: number | undefined) => writes.write(tenantId, [{ key, value }]);
  return { writes, batches, events, put, tenantId };
};

describe("buffered writes behind", () => {
  it("are applied in batches, of a key the last one", async () => {
    const { writes, batches, put } = setup({ batchMax: 2 });
    for (const [key, value] of [
      ["a", 1],
      ["b", 2],
      ["a", 3],
      ["c", 4],
    ] as const) {
      await put(key, value);
    }
    await writes.flush();
    assert.deepEqual(batches, [
      [
        { key: "a", value: 3 },
        { key: "b", value: 2 },
      ],
      [{ key: "c", value: 4 }],
    ]);
    await writes.stop();
  });

  it("are read by the cache before and while they are applied", async () => {
    const gate = Promise.withResolvers<void>();
    const { writes, tenantId } = setup({ sink: () => gate.promise });
    const cache = createCache<number>({
      ...{ name: "test", ttlMs: 1_000, write: writes.write },
      load: writes.overlay(async (_, keys) => keys.map(() => 0)),
    });
    await cache.put(tenantId, "a", 1);
    await cache.invalidate(tenantId);
    assert.equal(await cache.get(tenantId, "a"), 1);
    const flushed = writes.flush();
    await cache.invalidate(tenantId);
    assert.equal(await cache.get(tenantId, "a"), 1);
    gate.resolve();
    await flushed;
    await cache.invalidate(tenantId);
    assert.equal(await cache.get(tenantId, "a"), 0);
    await writes.stop();
  });

  it("of a key are never applied out of order, nor two batches of a tenant at once", async () => {
    const gate = Promise.withResolvers<void>();
    let atOnce = 0;
    const seen: (number | undefined)[] = [];
    const { writes, put } = setup({
      async sink(_, puts) {
        assert.equal(++atOnce, 1);
        await gate.promise;
        seen.push(...puts.map(({ value }) => value));
        atOnce--;
      },
    });
    await put("a", 1);
    const first = writes.flush();
    await put("a", 2);
    const second = writes.flush();
    gate.resolve();
    await Promise.all([first, second]);
    await writes.flush();
    assert.deepEqual(seen, [1, 2]);
    await writes.stop();
  });

  it("that find no room wait for it, or are refused", async () => {
    const { writes, put, batches } = setup({ waitingMax: 1 });
    await put("a", 1);
    await put("a", 2);
    let isIn = false;
    const waiting = put("b", 3).then(() => {
      isIn = true;
    });
    await nextTurn();
    assert(!isIn);
    await writes.flush();
    await waiting;
    assert.equal(batches.length, 1);
    await writes.stop();
    assert.equal(batches.length, 2);
    const strict = setup({ waitingMax: 1, whenFull: "refuse" });
    await strict.put("a", 1);
    await assert.rejects(strict.put("b", 1), { code: "ERR_CACHE_WRITES_FULL" });
    await strict.writes.stop();
  });

  it("that fail alone are tried again, then parked, and hold up nobody", async () => {
    const applied: string[] = [];
    const { writes, put, events } = setup({
      attemptsMax: 2,
      async sink(_, puts) {
        if (puts.some(({ key }) => key === "bad")) throw new Error("poison");
        applied.push(...puts.map(({ key }) => key));
      },
    });
    for (const key of ["a", "bad", "c"]) await put(key, 1);
    await writes.flush();
    assert.deepEqual(applied, ["a", "c"]);
    assert.deepEqual(writes.parked(), []);
    await writes.flush();
    assert.deepEqual(
      writes.parked().map(({ key, value }) => [key, value]),
      [["bad", 1]],
    );
    assert(events.some(({ kind }) => kind === "parked"));
    await writes.stop();
  });

  it("are applied by a stop, and refused after it", async () => {
    const { writes, put, batches } = setup();
    await put("a", 1);
    await writes.stop();
    await writes.stop();
    assert.equal(batches.length, 1);
    await assert.rejects(put("b", 1), { code: "ERR_CACHE_WRITES_STOPPED" });
  });
});
