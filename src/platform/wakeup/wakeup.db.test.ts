import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { createTestDatabase } from "../../testing/database.ts";
import { createWakeup, poke, type Wakeup } from "./wakeup.ts";

describe("waking up", async () => {
  const database = await createTestDatabase();
  const observer = new pg.Client({ connectionString: database.ownerUrl });
  await observer.connect();
  await observer.query("listen brandos_things");
  let heard = 0;
  observer.on("notification", () => heard++);
  after(async () => {
    await observer.end();
    await database.drop();
  });
  const made: Wakeup[] = [];
  const start = async (quietMs = 5) => {
    const wakeup = createWakeup({ url: database.urls.platform, topics: ["things"], quietMs });
    made.push(wakeup);
    await wakeup.start();
    return wakeup;
  };
  after(() => Promise.all(made.map((wakeup) => wakeup.stop())));
  const until = async (condition: () => boolean) => {
    const deadline = performance.now() + 5_000;
    while (!condition()) {
      assert(performance.now() < deadline, `it never came true: ${condition}`);
      await delay(5);
    }
  };

  it("wakes sleepers of this process at once, and of others by a notification", async () => {
    const wakeup = await start();
    let woken = 0;
    const end = wakeup.listen("things", () => woken++);
    heard = 0;
    poke("things");
    assert.equal(woken, 1);
    await until(() => heard === 1);
    await observer.query("notify brandos_things");
    await until(() => woken === 2);
    end();
    poke("things");
    assert.equal(woken, 2);
    await wakeup.stop();
  });

  it("does not hear its own notifications, nor topics it does not carry", async () => {
    const wakeup = await start();
    let woken = 0;
    wakeup.listen("things", () => woken++);
    heard = 0;
    poke("things");
    poke("others");
    await until(() => heard === 1);
    assert.equal(woken, 1);
    await wakeup.stop();
  });

  it("sends a thousand pokes as a few notifications, and the last is not lost", async () => {
    const wakeup = await start(20);
    heard = 0;
    for (let count = 0; count < 1_000; count++) poke("things");
    await until(() => heard === 2);
    await delay(60);
    assert.equal(heard, 2);
    await wakeup.stop();
  });

  it("comes back when its connection breaks, and looks once", async () => {
    const wakeup = await start();
    let woken = 0;
    wakeup.listen("things", () => woken++);
    await observer.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'brandos/wakeup'",
    );
    await until(() => woken === 1);
    await observer.query("notify brandos_things");
    await until(() => woken === 2);
    await wakeup.stop();
  });

  it("may be stopped twice, and before it was started", async () => {
    const wakeup = createWakeup({ url: database.urls.platform, topics: ["things"] });
    await wakeup.stop();
    await wakeup.start();
    await wakeup.stop();
    await wakeup.stop();
  });
});
