import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import {
  type BreakerReport,
  type CallReport,
  createOutgoing,
  type OutgoingConfig,
  type OutgoingLimits,
} from "./outgoing.ts";

const servers: Server[] = [];
const clients: { stop(): Promise<void> }[] = [];
after(async () => {
  for (const client of clients) await client.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** A peer that answers as told, and a client for it. */
async function setup(
  listener: RequestListener,
  limits: Partial<OutgoingLimits> = {},
  extra: Partial<OutgoingConfig> = {},
) {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const calls: CallReport[] = [];
  const breaks: BreakerReport["state"][] = [];
  const client = createOutgoing({
    name: "test",
    reach: "any",
    random: () => 0,
    limits: { breakerOpenMs: 50, ...limits },
    onCall: (report) => calls.push(report),
    onBreaker: ({ state }) => breaks.push(state),
    ...extra,
  });
  clients.push(client);
  return { server, origin, client, calls, breaks };
}

describe("outgoing calls", () => {
  it("gives back whatever the peer answers, redirects included", async () => {
    const { client, origin } = await setup((_, response) => {
      response.writeHead(302, { location: "http://169.254.169.254/" }).end("moved");
    });
    const answer = await client.request({ method: "GET", url: `${origin}/a?b=1` });
    assert.equal(answer.status, 302);
    assert.equal(answer.body.toString(), "moved");
  });

  it("gives up after the time allowed, and says that the peer may have acted", async () => {
    const { client, origin } = await setup(() => {}, { timeoutMs: 60 });
    const startedAt = performance.now();
    await assert.rejects(client.request({ method: "POST", url: origin, body: "x" }), {
      code: "ERR_OUTGOING_TIMEOUT",
      maybeSent: true,
      retryable: true,
    });
    assert.ok(performance.now() - startedAt < 1_000);
  });

  it("counts a body that trickles in against the same time", async () => {
    const { client, origin } = await setup(
      (_, response) => {
        response.write("a");
      },
      { timeoutMs: 60 },
    );
    await assert.rejects(client.request({ method: "POST", url: origin }), {
      code: "ERR_OUTGOING_TIMEOUT",
    });
  });

  it("never waits longer than the caller's deadline", async () => {
    const { client, origin } = await setup(() => {}, { timeoutMs: 10_000 });
    const startedAt = performance.now();
    const request = { method: "GET", url: origin, deadlineMs: startedAt + 60 } as const;
    await assert.rejects(client.request(request), { code: "ERR_OUTGOING_TIMEOUT" });
    assert.ok(performance.now() - startedAt < 1_000);
  });

  it("says that nothing was sent when it cannot connect", async () => {
    const { client, origin, server } = await setup(() => {}, { attemptsMax: 1 });
    await new Promise((resolve) => server.close(resolve));
    await assert.rejects(client.request({ method: "POST", url: origin }), {
      code: "ERR_OUTGOING_CONNECT",
      maybeSent: false,
    });
  });

  it("says that the peer may have acted when the connection breaks", async () => {
    const { client, origin } = await setup((_, response) => response.destroy());
    await assert.rejects(client.request({ method: "POST", url: origin, body: "x" }), {
      code: "ERR_OUTGOING_BROKEN",
      maybeSent: true,
    });
  });

  it("repeats what is safe to repeat, and nothing else", async () => {
    let seen = 0;
    const { client, origin } = await setup((_, response) => {
      response.statusCode = ++seen % 3 === 0 ? 200 : 503;
      response.end();
    });
    assert.equal((await client.request({ method: "GET", url: origin })).status, 200);
    assert.equal(seen, 3);
    assert.equal((await client.request({ method: "POST", url: origin })).status, 503);
    assert.equal(seen, 4);
  });

  it("sends a write again when no connection could be made: nothing was sent", async () => {
    const { client, origin, server, calls } = await setup(() => {}, {
      backoff: { baseMs: 0, maxMs: 0 },
    });
    await new Promise((resolve) => server.close(resolve));
    await assert.rejects(client.request({ method: "POST", url: origin, body: "x" }), {
      code: "ERR_OUTGOING_CONNECT",
      maybeSent: false,
    });
    assert.deepEqual(
      calls.map(({ attempt }) => attempt),
      [1, 2, 3],
    );
  });

  it("waits as long as the peer asks before it repeats, as an interval or as a moment", async () => {
    for (const wait of ["1", () => new Date(Date.now() + 2_000).toUTCString()]) {
      let seen = 0;
      const { client, origin } = await setup((_, response) => {
        const retryAfter = typeof wait === "string" ? wait : wait();
        if (++seen === 1) response.writeHead(503, { "retry-after": retryAfter });
        response.end();
      });
      const startedAt = performance.now();
      assert.equal((await client.request({ method: "GET", url: origin })).status, 200);
      assert.ok(performance.now() - startedAt >= 900);
    }
  });

  it("tells peers how long anybody waits, where it is told to", async () => {
    const told: unknown[] = [];
    const { client, origin } = await setup(
      (request, response) => {
        told.push(Number(request.headers["brandos-timeout-ms"]));
        response.end();
      },
      { timeoutMs: 5_000 },
      { tellsTimeout: true },
    );
    await client.request({ method: "GET", url: origin, deadlineMs: performance.now() + 700 });
    await client.request({ method: "GET", url: origin });
    const [deadline = 0, limit = 0] = told as number[];
    assert.ok(deadline > 0 && deadline <= 700 && limit > 4_000 && limit <= 5_000, `${told}`);
  });

  it("asks a second time beside a slow answer, where it is told to, and drops the slower one", async () => {
    const seen: string[] = [];
    let dropped = () => {};
    const isDropped = new Promise<void>((resolve) => {
      dropped = resolve;
    });
    const { client, origin } = await setup(
      (request, response) => {
        seen.push(request.method ?? "");
        if (seen.length === 1) response.once("close", dropped);
        else response.end("second");
      },
      { hedge: { after: 20 } },
    );
    const answer = await client.request({ method: "GET", url: origin });
    assert.equal(answer.body.toString(), "second");
    await isDropped;
    assert.deepEqual(seen, ["GET", "GET"]);
    const { hedges, hedgesWon, calls } = client.figures();
    assert.deepEqual([calls, hedges, hedgesWon], [1, 1, 1]);
  });

  it("retries at most a tenth of the calls during an outage", async () => {
    let seen = 0;
    const { client, origin } = await setup(
      (_, response) => {
        seen++;
        response.writeHead(429).end();
      },
      { backoff: { baseMs: 0, maxMs: 0 } },
    );
    for (let call = 0; call < 200; call++) await client.request({ method: "GET", url: origin });
    // 200 first attempts, 10 saved up, one more for every ten calls.
    assert.ok(seen >= 210 && seen <= 231, `${seen} requests`);
  });

  it("opens the breaker after failures in a row, and recovers by itself", async () => {
    let isDown = true;
    const { client, origin, breaks, calls } = await setup(
      (_, response) => {
        response.statusCode = isDown ? 500 : 200;
        response.end();
      },
      { breakerThreshold: 3, breakerOpenMs: 50 },
    );
    const post = () => client.request({ method: "POST", url: origin });
    for (let call = 0; call < 3; call++) assert.equal((await post()).status, 500);
    const made = calls.length;
    await assert.rejects(post(), { code: "ERR_OUTGOING_OPEN", maybeSent: false });
    assert.equal(client.breakerOf(origin), "open");
    assert.equal(calls.length, made + 1);
    isDown = false;
    const deadline = performance.now() + 2_000;
    while (client.breakerOf(origin) !== "closed" && performance.now() < deadline) {
      await post().catch(() => new Promise((resolve) => setTimeout(resolve, 10)));
    }
    assert.equal((await post()).status, 200);
    assert.deepEqual(breaks, ["open", "half_open", "closed"]);
  });

  it("refuses at once when too many calls wait", async () => {
    const { client, origin } = await setup(() => {}, {
      timeoutMs: 100,
      concurrencyMax: 1,
      queueMax: 1,
    });
    const post = () => client.request({ method: "POST", url: origin });
    const outcomes = await Promise.allSettled([post(), post(), post()]);
    const codes = outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason.code);
    assert.deepEqual(codes.toSorted(), [
      "ERR_OUTGOING_BUSY",
      "ERR_OUTGOING_TIMEOUT",
      "ERR_OUTGOING_TIMEOUT",
    ]);
  });

  it("refuses an answer that is too large", async () => {
    const { client, origin } = await setup((_, response) => response.end("x".repeat(2_000)), {
      responseBytesMax: 1_000,
    });
    await assert.rejects(client.request({ method: "GET", url: origin }), {
      code: "ERR_OUTGOING_TOO_LARGE",
      retryable: false,
    });
  });

  it("does not reach a private address by a name that resolves to it", async () => {
    let seen = 0;
    const { client, origin } = await setup(
      (_, response) => {
        seen++;
        response.end();
      },
      {},
      {
        reach: "public",
        resolveHost: (_, done) => done(null, [{ address: "127.0.0.1", family: 4 }]),
      },
    );
    const url = origin.replace("127.0.0.1", "shop.example");
    await assert.rejects(client.request({ method: "GET", url }), {
      code: "ERR_OUTGOING_FORBIDDEN",
      maybeSent: false,
    });
    await assert.rejects(client.request({ method: "GET", url: origin }), {
      code: "ERR_OUTGOING_FORBIDDEN",
    });
    assert.equal(seen, 0);
  });
});
