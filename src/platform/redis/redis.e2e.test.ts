import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { after, describe, it } from "node:test";
import { skipWithout } from "../../testing/optional.ts";
import { startRedis } from "../../testing/redis.ts";
import {
  connectRedis,
  defineScript,
  type RedisEvent,
  type RedisLimits,
  runScript,
} from "./redis.ts";

const skip = skipWithout("Redis");

/** A server, a connection to it, and what happens to that. */
async function setup(limits: Partial<RedisLimits> = {}) {
  const process = await startRedis();
  const happened = new EventEmitter();
  const states: string[] = [];
  const redis = connectRedis({
    urls: [process.url],
    limits: { reconnectMaxMs: 50, ...limits },
    onEvent(event: RedisEvent) {
      if (event.kind === "breaker") states.push(event.state);
      // A kind alone may be "error", which emitters treat in a way of their own.
      happened.emit(`on ${event.kind}`, event);
    },
  });
  await redis.untilReady(5_000);
  const [server] = redis.servers;
  assert(server);
  after(async () => {
    await redis.stop();
    await process.stop();
  });
  /** Asks until it answers. @returns how often it was asked */
  const untilBack = async (): Promise<number> => {
    for (let asked = 1; ; asked++) {
      const answer = await server.call("ping").catch(() => undefined);
      if (answer === "PONG") return asked;
      assert.ok(asked < 10_000, "it never came back");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return { process, redis, server, states, happened, untilBack };
}

describe("a connection to Redis", { skip }, () => {
  it("answers, and tells a refusal from a server that is away", async () => {
    const { server, redis } = await setup();
    assert.equal(await server.call("set", "greeting", "hello"), "OK");
    assert.deepEqual(await server.callBuffer("get", "greeting"), Buffer.from("hello"));
    assert.deepEqual(await server.callBuffer("ECHO", "hello"), Buffer.from("hello"));
    const unknown = server.callBuffer("nosuchcommand", "hello");
    await assert.rejects(unknown, { code: "ERR_REDIS_REFUSED" });
    await assert.rejects(server.call("incr", "greeting"), {
      code: "ERR_REDIS_REFUSED",
      retryable: false,
    });
    const script = defineScript("return redis.call('get', KEYS[1])");
    assert.equal(await runScript(server, script, ["greeting"], []), "hello");
    await server.call("script", "flush");
    assert.equal(await runScript(server, script, ["greeting"], []), "hello");
    for (let n = 0; n < 20; n++) await server.call("incr", "greeting").catch(() => {});
    assert.equal(redis.figures()[0]?.breaker, "closed");
  });

  it("to a paused server costs a few commands their time, and not each; it comes back by itself", async () => {
    const { process, server, states, redis, untilBack } = await setup();
    process.pause();
    const startedAt = performance.now();
    let slow = 0;
    for (let n = 0; n < 500; n++) {
      const askedAt = performance.now();
      await assert.rejects(server.call("incr", "n"), {
        code: "ERR_REDIS_UNAVAILABLE",
        retryable: true,
      });
      if (performance.now() - askedAt > 50) slow++;
    }
    const tookMs = performance.now() - startedAt;
    // Five until it opens; one more for each time it lets one try.
    assert.ok(slow >= 5 && slow <= 12, `${slow} slow commands of 500 in ${tookMs} ms`);
    assert.equal(states[0], "open");
    assert.equal(server.isReady(), false);
    process.resume();
    await untilBack();
    assert.equal(states.at(-1), "closed");
    assert.equal(server.isReady(), true);
    const [figures] = redis.figures();
    assert.ok((figures?.rejected ?? 0) >= 480, JSON.stringify(figures));
  });

  it("to a killed server fails at once, and works as soon as it is there again", async () => {
    const { process, server, happened, untilBack } = await setup();
    const lost = once(happened, "on lost");
    await process.kill();
    await lost;
    const startedAt = performance.now();
    for (let n = 0; n < 100; n++) {
      await assert.rejects(server.call("ping"), { code: "ERR_REDIS_UNAVAILABLE" });
    }
    assert.ok(performance.now() - startedAt < 500, "nobody waits for a server that is away");
    const ready = once(happened, "on ready");
    await process.start();
    await ready;
    // A connection was made: no breaker has to find that out.
    assert.equal(await server.call("ping"), "PONG");
    assert.ok((await untilBack()) >= 1);
  });

  it("sends no command twice, and says of none that was sent that it was not done", async () => {
    const { process, server, untilBack } = await setup();
    process.pause();
    const sent = Array.from({ length: 3 }, () =>
      assert.rejects(server.call("incr", "n"), /no end within 100 ms/),
    );
    await Promise.all(sent);
    process.resume();
    await untilBack();
    // The paused server did what it had been sent, once, after everybody had given up.
    assert.equal(await server.call("get", "n"), "3");
  });
});
