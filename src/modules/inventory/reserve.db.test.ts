import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newId } from "../../kernel/ids.ts";
import type { Reservation, ReservationStrategy } from "./contract.ts";
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

const strategies: readonly ReservationStrategy[] = ["atomic", "optimistic", "pessimistic", "flash"];

for (const strategy of strategies) {
  test(`${strategy}: sells exactly what is there to racing buyers`, async () => {
    const own = await stockedTenant(bench, [[25]]);
    const [variantId] = own.variants;
    assert.ok(variantId);
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, () =>
        own.inventory.reserve(own.ctx, wish([{ variantId, quantity: 1 }]), strategy),
      ),
    );
    const sold = outcomes.filter((outcome) => outcome.ok).length;
    const codes = new Set(outcomes.map((outcome) => (outcome.ok ? "ok" : outcome.failure.code)));
    if (strategy === "optimistic") assert.ok(sold <= 25 && sold > 0);
    else {
      assert.equal(sold, 25);
      assert.deepEqual([...codes].sort(), ["inventory.out_of_stock", "ok"]);
    }
    const [stock] = await own.inventory.availability(own.tenantId, [variantId]);
    assert.deepEqual([stock?.reserved, stock?.available], [sold, 25 - sold]);
    assert.deepEqual(await brokenInvariants(own), []);
  });

  test(`${strategy}: one id is one reservation, however often and at once it is asked for`, async () => {
    const own = await stockedTenant(bench, [[25]]);
    const [variantId] = own.variants;
    assert.ok(variantId);
    const request = wish([{ variantId, quantity: 2 }], { ttlMs: 60_000, reference: "cart:1" });
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, () => own.inventory.reserve(own.ctx, request, strategy)),
    );
    const reservations = outcomes.map((outcome) => expectOk<Reservation>(outcome));
    assert.equal(new Set(reservations.map((each) => JSON.stringify(each))).size, 1);
    const [stock] = await own.inventory.availability(own.tenantId, [variantId]);
    assert.equal(stock?.reserved, 2);
    const other = { ...request, lines: [{ variantId, quantity: 3 }] };
    const differs = await own.inventory.reserve(own.ctx, other, strategy);
    assert.equal(!differs.ok && differs.failure.code, "inventory.reservation_differs");
    expectOk(await own.inventory.releaseReservation(own.ctx, request.id));
    const closed = await own.inventory.reserve(own.ctx, request, strategy);
    assert.equal(!closed.ok && closed.failure.code, "inventory.reservation_closed");
    assert.deepEqual(await brokenInvariants(own), []);
  });

  test(`${strategy}: several lines are reserved all or nothing, merged and split over places`, async () => {
    const own = await stockedTenant(bench, [
      [3, 5],
      [1, 0],
    ]);
    const [a, b] = own.variants;
    assert.ok(a && b);
    const reserve = (lines: Parameters<typeof wish>[0]) =>
      own.inventory.reserve(own.ctx, wish(lines), strategy);
    const short = await reserve([
      { variantId: a, quantity: 1 },
      { variantId: b, quantity: 2 },
    ]);
    assert.deepEqual(!short.ok && short.failure, {
      code: "inventory.out_of_stock",
      variantId: b,
      requested: 2,
      available: 1,
    });
    const merged = expectOk(
      await reserve([
        { variantId: a, quantity: 2 },
        { variantId: a, quantity: 2 },
      ]),
    );
    assert.deepEqual(merged.allocations, [
      { variantId: a, locationId: own.locations[1], quantity: 4 },
    ]);
    const split = expectOk(await reserve([{ variantId: a, quantity: 4 }]));
    assert.deepEqual(
      split.allocations.map((each) => [each.locationId, each.quantity]),
      [
        [own.locations[0], 3],
        [own.locations[1], 1],
      ],
    );
    assert.deepEqual(await brokenInvariants(own), []);
  });

  test(`${strategy}: crossed orders of lines do not deadlock`, async () => {
    const own = await stockedTenant(bench, [[500], [500], [500]]);
    const [a, b, c] = own.variants;
    assert.ok(a && b && c);
    const orders = [
      [a, b, c],
      [c, b, a],
      [b, a, c],
    ];
    const before = await deadlocks(own);
    const outcomes = await Promise.all(
      Array.from({ length: 45 }, (_, index) => {
        const lines = (orders[index % 3] ?? []).map((variantId) => ({ variantId, quantity: 1 }));
        return own.inventory.reserve(own.ctx, wish(lines), strategy);
      }),
    );
    for (const outcome of outcomes) {
      assert.ok(outcome.ok || outcome.failure.code === "inventory.conflict");
    }
    assert.equal(await deadlocks(own), before);
    assert.deepEqual(await brokenInvariants(own), []);
  });
}

async function deadlocks({ database }: InventoryBench): Promise<number> {
  const [row] = await database.query<{ deadlocks: number }>(
    "select deadlocks from pg_stat_database where datname = current_database()",
  );
  return Number(row?.deadlocks);
}

test("flash: concurrent buyers share transactions and survive the guess being wrong", async () => {
  const own = await stockedTenant(bench, [[300, 120]]);
  const [variantId] = own.variants;
  assert.ok(variantId);
  const buy = async (count: number) => {
    const outcomes = await Promise.all(
      Array.from({ length: count }, () =>
        own.inventory.reserve(
          own.ctx,
          wish([{ variantId, quantity: 1 }], { ttlMs: 9_000 }),
          "flash",
        ),
      ),
    );
    return outcomes.filter((outcome) => outcome.ok).length;
  };
  assert.equal(await buy(100), 100);
  // Somebody else takes most of the first place behind the guess's back.
  const [first] = own.locations;
  assert.ok(first);
  const away = wish([{ variantId, quantity: 190, locationId: first }]);
  expectOk(await own.inventory.reserve(own.ctx, away, "pessimistic"));
  assert.equal(await buy(100), 100);
  assert.equal(await buy(100), 30);
  assert.deepEqual(await brokenInvariants(own), []);
});

test("flash: callers with idempotency keys share a batch, and each key takes effect once", async () => {
  const own = await stockedTenant(bench, [[100]]);
  const [variantId] = own.variants;
  assert.ok(variantId);
  const ask = (key: number, quantity = 1) => {
    const idempotency = {
      key: `${key}`,
      principal: "buyer",
      route: "POST /v1/reservations",
      fingerprint: quantity.toString(16).padStart(64, "0"),
    };
    const request = wish([{ variantId, quantity }]);
    return own.inventory.reserve({ ...own.ctx, idempotency }, request, "flash");
  };
  const first = await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index % 20)));
  const again = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(index)));
  assert.ok(again.every((outcome) => outcome.ok));
  const ids = new Set([...first, ...again].flatMap((each) => (each.ok ? [each.value.id] : [])));
  assert.equal(ids.size, 20);
  const refused = new Set(first.flatMap((each) => (each.ok ? [] : [each.failure.code])));
  assert.ok([...refused].every((code) => code === "idempotency.in_flight"));
  const other = await ask(0, 2);
  assert.equal(!other.ok && other.failure.code, "idempotency.key_reused");
  const [stock] = await own.inventory.availability(own.tenantId, [variantId]);
  assert.equal(stock?.reserved, 20);
  assert.deepEqual(await brokenInvariants(own), []);
});

test("backorders are promised up to their limit and committed below zero", async () => {
  const own = await stockedTenant(bench, [[1]], 2);
  const [variantId] = own.variants;
  assert.ok(variantId);
  const big = await own.inventory.reserve(own.ctx, wish([{ variantId, quantity: 4 }]));
  assert.equal(big.ok, false);
  const made = expectOk(await own.inventory.reserve(own.ctx, wish([{ variantId, quantity: 3 }])));
  expectOk(await own.inventory.commitReservation(own.ctx, made.id));
  const [stock] = await own.inventory.availability(own.tenantId, [variantId]);
  assert.deepEqual([stock?.onHand, stock?.reserved, stock?.available], [-2, 0, 0]);
  assert.deepEqual(await brokenInvariants(own), []);
});

test("the table itself refuses to be oversold, to forget a movement, and to show another's stock", async () => {
  const own = await stockedTenant(bench, [[5]]);
  const run = (text: string) =>
    own.db.commit(own.tenantId, (tx) => tx.run({ name: "", text, values: [] }));
  await assert.rejects(run("update stock set reserved = 6"), /stock_not_oversold/);
  await assert.rejects(run("update stock set reserved = -1"), /stock_reserved/);
  await assert.rejects(run("update stock set on_hand = -1"), /stock_/);
  await assert.rejects(run("delete from stock"), /permission denied/);
  await assert.rejects(run("delete from reservations"), /permission denied/);
  await assert.rejects(run("update stock_movements set quantity = 1"), /permission denied/);
  await assert.rejects(own.database.query("delete from shared.stock_movements"), /append-only/);
  const stranger = newId<"tenant">();
  const [variantId] = own.variants;
  assert.ok(variantId);
  const [foreign] = await own.inventory.availability(stranger, [variantId]);
  assert.equal(foreign?.onHand, 0);
  const touched = await own.db.commit(stranger, (tx) =>
    tx.run({ name: "", text: "update stock set version = version", values: [] }),
  );
  assert.equal(touched, 0);
});
