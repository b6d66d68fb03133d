import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { systemContext } from "../../kernel/context.ts";
import { fail } from "../../kernel/result.ts";
import { type LogFixture, setup } from "./events.fixture.ts";
import {
  appendToStream,
  createEventRegistry,
  defineEvent,
  readStream,
  streamVersion,
} from "./events.ts";

const deposited = defineEvent({
  type: "wallets.deposited",
  version: 3,
  description: "Money was put into a wallet.",
  data: Type.Object({
    amountMinor: Type.Integer(),
    currency: Type.String(),
    reason: Type.String(),
  }),
  upcasters: {
    1: ({ amount }) => ({ amountMinor: Number(amount) * 100 }),
    2: (data) => ({ ...data, currency: "EUR", reason: "unknown" }),
  },
});
const registry = createEventRegistry([deposited]);
const stream = "wallet:1";

function append(log: LogFixture, expectedVersion: number, amounts: readonly number[]) {
  return log.db.transact(log.tenantId, (tx) =>
    appendToStream(tx, systemContext(log.tenantId, "req"), {
      stream,
      expectedVersion,
      events: amounts.map((amountMinor) =>
        deposited.make(stream, { amountMinor, currency: "EUR", reason: "gift" }),
      ),
    }),
  );
}

test("appends at the expected version and refuses any other", async () => {
  await using log = await setup();
  assert.deepEqual(await append(log, 0, [1, 2]), { ok: true, value: 2 });
  assert.deepEqual(await append(log, 2, [3]), { ok: true, value: 3 });
  const refusal = { code: "events.wrong_version", stream, actualVersion: 3 } as const;
  assert.deepEqual(await append(log, 2, [4]), fail({ ...refusal, expectedVersion: 2 }));
  assert.deepEqual(await append(log, 0, [4]), fail({ ...refusal, expectedVersion: 0 }));
  const events = await log.db.read(log.tenantId, (tx) => readStream(tx, stream));
  assert.deepEqual(
    events.map(({ streamVersion: version, data }) => [version, data["amountMinor"]]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
  const later = await log.db.read(log.tenantId, (tx) =>
    readStream(tx, stream, { afterVersion: 2 }),
  );
  assert.equal(later.length, 1);
});

test("of writers that race on one version exactly one wins", async () => {
  await using log = await setup();
  const outcomes = await Promise.all(Array.from({ length: 20 }, (_, n) => append(log, 0, [n])));
  assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
  const again = await Promise.all(Array.from({ length: 20 }, (_, n) => append(log, 1, [n, n])));
  assert.equal(again.filter(({ ok }) => ok).length, 1);
  assert.equal(await log.db.read(log.tenantId, (tx) => streamVersion(tx, stream)), 3);
});

test("reads old versions of an event as the current one", async () => {
  await using log = await setup();
  const old = { type: "wallets.deposited", stream };
  await log.db.transact(log.tenantId, (tx) =>
    appendToStream(tx, systemContext(log.tenantId, "req"), {
      stream,
      expectedVersion: 0,
      events: [
        { ...old, version: 1, data: { amount: 5 } },
        { ...old, version: 2, data: { amountMinor: 7 } },
      ],
    }),
  );
  const events = await log.db.read(log.tenantId, (tx) => readStream(tx, stream, { registry }));
  assert.deepEqual(
    events.map(({ version, data }) => [version, data]),
    [
      [3, { amountMinor: 500, currency: "EUR", reason: "unknown" }],
      [3, { amountMinor: 7, currency: "EUR", reason: "unknown" }],
    ],
  );
});

test("a subscription waits for newer code instead of parking what it cannot know", async () => {
  await using log = await setup();
  await log.append([{ type: "wallets.deposited", version: 4, stream, data: {} }]);
  const failed = Promise.withResolvers<unknown>();
  const node = await log.node([{ name: "test.all", mode: "transactional", handle: log.record }], {
    registry,
    onEvent: (event) => event.kind === "failed" && failed.resolve(event.error),
  });
  assert.equal(((await failed.promise) as { code: string }).code, "ERR_EVENT_VERSION");
  assert.deepEqual(await node.subscriptions.deadLetters({ limit: 1 }), []);
});

test("says what is wrong with an event's data", () => {
  const good = { amountMinor: 1, currency: "EUR", reason: "gift" };
  assert.deepEqual(registry.check(deposited.make(stream, good)), []);
  const event = {
    type: "wallets.deposited",
    version: 3,
    stream,
    data: { ...good, amountMinor: "x" },
  };
  assert.deepEqual(registry.check(event), ["data/amountMinor must be integer"]);
  assert.match(registry.check({ ...event, version: 2 })[0] ?? "", /at version 3, not 2/);
  assert.match(registry.check({ ...event, type: "a.b" })[0] ?? "", /not a known type/);
});
