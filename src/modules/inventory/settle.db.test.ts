import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newId } from "../../kernel/ids.ts";
import type { ReservationId } from "./contract.ts";
import { commitReservations, expireReservations, releaseReservations } from "./index.ts";
import {
  brokenInvariants,
  expectOk,
  type InventoryBench,
  openInventoryBench,
  stockedTenant,
  wish,
} from "./setup.fixture.ts";

let bench: InventoryBench;
before(async () => {
  bench = await openInventoryBench();
});
after(() => bench.stop());

async function setup(units: number, reserved: number, ttlMs?: number) {
  const own = await stockedTenant(bench, [[units], [units]]);
  const [a, b] = own.variants;
  assert.ok(a && b);
  const ids: ReservationId[] = [];
  for (let index = 0; index < reserved; index++) {
    const lines = [
      { variantId: a, quantity: 1 },
      { variantId: b, quantity: 2 },
    ];
    const request = wish(lines, ttlMs === undefined ? {} : { ttlMs });
    ids.push(expectOk(await own.inventory.reserve(own.ctx, request)).id);
  }
  const stock = async () => {
    const rows = await own.inventory.availability(own.tenantId, [a, b]);
    return rows.map((row) => [row.onHand, row.reserved]);
  };
  return { ...own, ids, stock, a, b };
}

type Own = Awaited<ReturnType<typeof setup>>;

/** Puts the end of every reservation into the past: tests do not sleep. */
const makeOverdue = ({ database, tenantId }: Own) =>
  database.query(
    "update shared.reservations set expires_at = now() - interval '1 s' where tenant_id = $1",
    [tenantId],
  );

test("committing takes the units off the shelf with a movement, once", async () => {
  const own = await setup(10, 2);
  const outcomes = await own.db.commit(own.tenantId, (tx) =>
    commitReservations(tx, own.ctx, [...own.ids, own.ids[0] as ReservationId, newId()]),
  );
  assert.deepEqual(
    outcomes.map((each) => (each.ok ? each.value.repeated : each.failure.code)),
    [false, false, true, "inventory.reservation_not_found"],
  );
  assert.deepEqual(await own.stock(), [
    [8, 0],
    [6, 0],
  ]);
  const again = expectOk(
    await own.inventory.commitReservation(own.ctx, own.ids[0] as ReservationId),
  );
  assert.equal(again.repeated, true);
  const late = await own.inventory.releaseReservation(own.ctx, own.ids[0] as ReservationId);
  assert.equal(!late.ok && late.failure.code, "inventory.reservation_closed");
  const movements = expectOk(
    await own.inventory.listMovements(own.tenantId, { variantId: own.b, limit: 10 }),
  );
  assert.deepEqual(
    movements.items.map((each) => [each.reason, each.quantity]),
    [
      ["sale", -2],
      ["sale", -2],
      ["counted", 10],
    ],
  );
  assert.deepEqual(await brokenInvariants(own), []);
});

test("releasing gives the units back, once", async () => {
  const own = await setup(10, 2);
  const outcomes = await own.db.commit(own.tenantId, (tx) =>
    releaseReservations(tx, own.ctx, own.ids),
  );
  assert.ok(outcomes.every((each) => each.ok));
  const again = await own.inventory.releaseReservation(own.ctx, own.ids[1] as ReservationId);
  assert.equal(expectOk(again).repeated, true);
  const late = await own.inventory.commitReservation(own.ctx, own.ids[1] as ReservationId);
  assert.equal(!late.ok && late.failure.code, "inventory.reservation_closed");
  assert.deepEqual(await own.stock(), [
    [10, 0],
    [10, 0],
  ]);
  assert.deepEqual(await brokenInvariants(own), []);
});

test("what is past its end is expired with an event each; what has no end stays", async () => {
  const own = await setup(20, 3, 60_000);
  const kept = expectOk(
    await own.inventory.reserve(own.ctx, wish([{ variantId: own.a, quantity: 1 }])),
  );
  assert.equal(await own.inventory.expireOverdue(own.ctx), 0);
  await own.database.query(
    `update shared.reservations set expires_at = now() - interval '1 s'
     where tenant_id = $1 and expires_at is not null`,
    [own.tenantId],
  );
  assert.equal(await own.inventory.expireOverdue(own.ctx), 3);
  assert.deepEqual(await own.stock(), [
    [20, 1],
    [20, 0],
  ]);
  const events = await own.database.query<{ count: number }>(
    `select count(*)::int as count from platform.events
     where tenant_id = $1 and type = 'inventory.reservation_expired'`,
    [own.tenantId],
  );
  assert.equal(events[0]?.count, 3);
  const found = await own.inventory.findReservation(own.tenantId, kept.id);
  assert.equal(found?.state, "active");
  const released = expectOk(
    await own.inventory.releaseReservation(own.ctx, own.ids[0] as ReservationId),
  );
  assert.deepEqual([released.state, released.repeated], ["expired", true]);
  assert.deepEqual(await brokenInvariants(own), []);
});

test("when expiry races commit and release each reservation ends once, and stock agrees", async () => {
  const own = await setup(200, 60, 60_000);
  await makeOverdue(own);
  const sweep = () => own.db.commit(own.tenantId, (tx) => expireReservations(tx, own.ctx, 7));
  const [expired, settled] = await Promise.all([
    Promise.all(Array.from({ length: 12 }, sweep)).then((lists) => lists.flat()),
    Promise.all(
      own.ids.map((id, index) =>
        index % 2 === 0
          ? own.inventory.commitReservation(own.ctx, id)
          : own.inventory.releaseReservation(own.ctx, id),
      ),
    ),
  ]);
  await own.inventory.expireOverdue(own.ctx);
  assert.equal(new Set(expired).size, expired.length, "no reservation expires twice");
  const committed = settled.filter((each) => each.ok && each.value.state === "committed").length;
  const [stockA, stockB] = await own.stock();
  assert.deepEqual(stockA, [200 - committed, 0]);
  assert.deepEqual(stockB, [200 - 2 * committed, 0]);
  assert.deepEqual(await brokenInvariants(own), []);
});

test("a sweep passes over reservations somebody is just settling", async () => {
  const own = await setup(10, 2, 60_000);
  await makeOverdue(own);
  const [held] = own.ids;
  assert.ok(held);
  const swept = await own.db.commit(own.tenantId, async (tx) => {
    await commitReservations(tx, own.ctx, [held]);
    // In a transaction beside this one, which still holds the lock of the first reservation.
    return own.db.commit(own.tenantId, (other) => lockedSweep(other, own));
  });
  assert.deepEqual(swept, []);
  assert.equal(await own.inventory.expireOverdue(own.ctx), 1);
  assert.deepEqual(await brokenInvariants(own), []);
});

/** Looks for overdue reservations without touching stock rows that the other transaction holds. */
async function lockedSweep(tx: Parameters<typeof expireReservations>[0], own: Own) {
  const { lockOverdue } = await import("./store.ts");
  const ids = await lockOverdue(tx, 10);
  return ids.filter((id) => id === own.ids[0]);
}
