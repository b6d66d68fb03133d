import assert from "node:assert/strict";
import { test } from "node:test";
import { type RetryingFetchDeps, retryAfterMs, retryingFetch } from "./retry.ts";

interface Seen {
  readonly keys: (string | null)[];
  readonly bodies: string[];
  readonly waits: number[];
}

function scripted(answers: readonly (Response | Error)[], deps: Partial<RetryingFetchDeps> = {}) {
  const seen: Seen = { keys: [], bodies: [], waits: [] };
  const left = [...answers];
  const fetch = retryingFetch({
    fetch: async (request) => {
      seen.keys.push(request.headers.get("idempotency-key"));
      seen.bodies.push(await request.text());
      const answer = left.shift();
      if (answer === undefined) throw new Error("asked too often");
      if (answer instanceof Error) throw answer;
      return answer;
    },
    sleep: async (ms) => {
      seen.waits.push(ms);
    },
    random: () => 1,
    ...deps,
  });
  return { fetch, seen };
}

const post = () => new Request("http://shop.test/v1/orders", { method: "POST", body: "{}" });

test("an unsafe call keeps its key and its body over retries", async () => {
  const { fetch, seen } = scripted([
    new TypeError("connection reset"),
    new Response(null, { status: 503 }),
    new Response("{}", { status: 201 }),
  ]);
  assert.equal((await fetch(post())).status, 201);
  assert.equal(seen.keys.length, 3);
  assert.equal(new Set(seen.keys).size, 1);
  assert.match(seen.keys[0] ?? "", /^[0-9a-f-]{36}$/);
  assert.deepEqual(seen.bodies, ["{}", "{}", "{}"]);
  assert.deepEqual(seen.waits, [250, 500]);
});

test("a key of the caller is left alone, and a safe call has none", async () => {
  const { fetch, seen } = scripted([new Response(), new Response()]);
  await fetch(new Request(post(), { headers: { "idempotency-key": "mine" } }));
  await fetch(new Request("http://shop.test/v1/orders"));
  assert.deepEqual(seen.keys, ["mine", null]);
});

test("the server's wait is kept, unless it is longer than the caller's patience", async () => {
  const busy = (seconds: string) =>
    new Response(null, { status: 429, headers: { "retry-after": seconds } });
  const short = scripted([busy("2"), new Response()]);
  await short.fetch(post());
  assert.deepEqual(short.seen.waits, [2_000]);
  const long = scripted([busy("3600")]);
  assert.equal((await long.fetch(post())).status, 429);
});

test("a refusal is not tried again, and the last failure is handed on", async () => {
  const refused = scripted([new Response(null, { status: 402 })]);
  assert.equal((await refused.fetch(post())).status, 402);
  const down = scripted([new TypeError("down"), new TypeError("still down")], {
    retry: { attemptsMax: 2 },
  });
  await assert.rejects(down.fetch(post()), /still down/);
});

test("an aborted call is not repeated", async () => {
  const abort = new AbortController();
  const { fetch, seen } = scripted([new TypeError("aborted"), new Response()]);
  const request = new Request(post(), { signal: abort.signal });
  abort.abort(new Error("gone"));
  await assert.rejects(fetch(request));
  assert.equal(seen.waits.length, 0);
});

test("Retry-After is read as seconds and as a date", () => {
  const now = Date.parse("2026-11-01T00:00:00Z");
  assert.equal(retryAfterMs("3"), 3_000);
  assert.equal(retryAfterMs("Sun, 01 Nov 2026 00:00:05 GMT", now), 5_000);
  assert.equal(retryAfterMs("soon"), undefined);
  assert.equal(retryAfterMs(null), undefined);
});
