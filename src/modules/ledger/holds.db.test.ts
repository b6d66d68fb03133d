import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newId } from "../../kernel/ids.ts";
import {
  brokenInvariants,
  freshTenant,
  type LedgerBench,
  openLedgerBench,
  transfer,
} from "./setup.fixture.ts";

let bench: LedgerBench;
before(async () => {
  bench = await openLedgerBench();
});
after(() => bench.stop());

const account = "wallet:ann";

async function setup(fundsMinor: number) {
  const own = freshTenant(bench);
  const opened = await own.ledger.openAccounts(own.ctx, [
    { code: account, currency: "EUR", kind: "liability", floorMinor: 0 },
  ]);
  assert.ok(opened.ok);
  const funded = await own.ledger.post(own.ctx, transfer("bank", account, fundsMinor));
  assert.ok(funded.ok);
  const hold = (amountMinor: number, id = newId<"ledger hold">()) =>
    own.ledger.placeHold(own.ctx, { id, account, currency: "EUR", amountMinor });
  return { ...own, hold };
}

const spend = (amountMinor: number) => transfer(account, "sales", amountMinor);

test("a wallet is never spent below its floor by racing journals", async () => {
  const own = await setup(1_000);
  const outcomes = await Promise.all(
    Array.from({ length: 30 }, () => own.ledger.post(own.ctx, spend(100))),
  );
  assert.equal(outcomes.filter((outcome) => outcome.ok).length, 10);
  const refused = outcomes.filter((outcome) => !outcome.ok);
  assert.ok(refused.every((each) => each.failure.code === "ledger.insufficient_funds"));
  assert.deepEqual(await brokenInvariants(own), []);
});

test("racing holds and journals together never promise more than there is", async () => {
  const own = await setup(1_000);
  const outcomes = await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      index % 2 === 0 ? own.hold(100) : own.ledger.post(own.ctx, spend(100)),
    ),
  );
  assert.equal(outcomes.filter((outcome) => outcome.ok).length, 10);
  assert.deepEqual(await brokenInvariants(own), []);
});

test("a hold is posted in parts, and its rest goes back with the last", async () => {
  const own = await setup(1_000);
  const held = await own.hold(600);
  assert.ok(held.ok);
  const holdId = held.value.id;
  assert.equal((await own.ledger.post(own.ctx, spend(401))).ok, false);
  assert.ok((await own.ledger.postHold(own.ctx, { holdId, journal: spend(200) })).ok);
  const toomuch = await own.ledger.postHold(own.ctx, { holdId, journal: spend(401) });
  assert.equal(!toomuch.ok && toomuch.failure.code, "ledger.hold_exceeded");
  const last = spend(100);
  const done = await own.ledger.postHold(own.ctx, { holdId, journal: last, final: true });
  assert.ok(done.ok && done.value.state === "posted" && done.value.postedMinor === 300);
  const again = await own.ledger.postHold(own.ctx, { holdId, journal: last, final: true });
  assert.ok(
    again.ok && again.value.postedMinor === 300,
    "posting the same journal again is a repeat",
  );
  const balance = await own.ledger.findBalance(own.tenantId, { code: account, currency: "EUR" });
  assert.deepEqual([balance?.normalBalanceMinor, balance?.heldMinor], [700, 0]);
  assert.ok((await own.ledger.post(own.ctx, spend(700))).ok);
  assert.deepEqual(await brokenInvariants(own), []);
});

test("a released hold gives its money back, once", async () => {
  const own = await setup(500);
  const held = await own.hold(500);
  assert.ok(held.ok);
  assert.equal((await own.hold(1)).ok, false);
  assert.ok((await own.ledger.releaseHold(own.ctx, held.value.id)).ok);
  assert.ok((await own.ledger.releaseHold(own.ctx, held.value.id)).ok);
  assert.ok((await own.hold(500)).ok);
});

test("placing the same hold twice is one hold; another amount under its id is refused", async () => {
  const own = await setup(500);
  const id = newId<"ledger hold">();
  const twice = await Promise.all([own.hold(300, id), own.hold(300, id)]);
  assert.ok(twice.every((outcome) => outcome.ok));
  const other = await own.hold(200, id);
  assert.equal(!other.ok && other.failure.code, "ledger.hold_differs");
});

test("accounts without a floor take no holds", async () => {
  const own = await setup(500);
  const id = newId<"ledger hold">();
  const wish = { id, account: "bank", currency: "EUR", amountMinor: 1 };
  const outcome = await own.ledger.placeHold(own.ctx, wish);
  assert.equal(!outcome.ok && outcome.failure.code, "ledger.no_floor");
});

test("floors hold at repeatable read: a rival fails and is run again, it never reads an old balance", async () => {
  const own = await setup(1_000);
  const { postEntries } = await import("./index.ts");
  const outcomes = await Promise.allSettled(
    Array.from({ length: 15 }, () =>
      own.db.commit(own.tenantId, async (tx) => postEntries(tx, own.ctx, [spend(100)]), {
        isolation: "repeatable read",
        attemptsMax: 50,
      }),
    ),
  );
  assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 10);
  assert.deepEqual(await brokenInvariants(own), []);
});
