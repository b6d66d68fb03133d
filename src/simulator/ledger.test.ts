import assert from "node:assert/strict";
import { mkdtemp, open, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { it } from "node:test";
import { testToken } from "./cards.ts";
import { openLedger } from "./ledger.ts";

it("tells nobody of money before fsync has returned: not the payer, not who asks, not the merchant", async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "brandos-bank-"));
  const probe = await open(folder, "r");
  const fileHandle = Object.getPrototypeOf(probe) as { datasync(): Promise<void> };
  await probe.close();
  const synced = Promise.withResolvers<void>();
  t.mock.method(fileHandle, "datasync", () => synced.promise);
  const told: string[] = [];
  const { ledger } = await openLedger({
    folder,
    now: () => new Date(),
    onFault: (error) => assert.fail(String(error)),
    onRecord: () => told.push("merchant"),
  });
  const card = testToken("tok_test_approved");
  assert.ok(card);
  const order = {
    account: "a",
    paymentId: "p",
    amountMinor: 5,
    currency: "EUR",
    captureMode: "automatic",
  } as const;
  const manner = { card, isDeclined: false, confirmationUrl: () => "" };
  const charging = Promise.all([
    ledger.charge(order, manner).then(() => told.push("payer")),
    ledger.charge(order, manner).then(() => told.push("repeated payer")),
    ledger.settled().then(() => told.push("asker")),
  ]);
  // Many turns of the event loop: whoever does not wait for fsync has spoken by then.
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(told, []);
  synced.resolve();
  await charging;
  assert.equal(told.length, 4);
  await ledger.stop();
  await rm(folder, { recursive: true });
});
