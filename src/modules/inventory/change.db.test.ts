import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { newId } from "../../kernel/ids.ts";
import type { LocationId, ReservationId, ReservationStrategy, StockCommandId } from "./contract.ts";
import { adjustStock } from "./index.ts";
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

const commandId = () => newId<"stock command">() as StockCommandId;

test("adjusts with a reason, once per id, never into what is reserved", async () => {
  const own = await stockedTenant(bench, [[5]]);
  const [variantId] = own.variants;
  const [locationId] = own.locations;
  assert.ok(variantId && locationId);
  const line = (quantity: number) => [{ variantId, locationId, quantity }];
  expectOk(await own.inventory.reserve(own.ctx, wish([{ variantId, quantity: 4 }])));
  const receipt = { id: commandId(), reason: "received", lines: line(3) } as const;
  expectOk(await own.inventory.adjust(own.ctx, receipt));
  expectOk(await own.inventory.adjust(own.ctx, receipt));
  const other = await own.inventory.adjust(own.ctx, { ...receipt, lines: line(4) });
  assert.equal(!other.ok && other.failure.code, "inventory.command_differs");
  const loss = { id: commandId(), reason: "lost", lines: line(-5) } as const;
  const refused = await own.inventory.adjust(own.ctx, loss);
  assert.deepEqual(!refused.ok && refused.failure, {
    code: "inventory.insufficient_stock",
    variantId,
    locationId,
    available: 4,
  });
  const nowhere = [{ variantId, locationId: newId() as LocationId, quantity: 1 }];
  const lost = await own.inventory.adjust(own.ctx, { ...receipt, id: commandId(), lines: nowhere });
  assert.equal(!lost.ok && lost.failure.code, "inventory.location_not_found");
  assert.deepEqual(await brokenInvariants(own), []);
});

test("a batch of adjustments refuses item by item, later ones see earlier ones", async () => {
  const own = await stockedTenant(bench, [[0]]);
  const [variantId] = own.variants;
  const [locationId] = own.locations;
  assert.ok(variantId && locationId);
  const adjustment = (quantity: number) => ({
    id: commandId(),
    reason: "correction" as const,
    lines: [{ variantId, locationId, quantity }],
  });
  const outcomes = await own.db.commit(own.tenantId, (tx) =>
    adjustStock(tx, own.ctx, [adjustment(-1), adjustment(2), adjustment(-1), adjustment(-2)]),
  );
  assert.deepEqual(
    outcomes.map((each) => each.ok),
    [false, true, true, false],
  );
  const [stock] = await own.inventory.availability(own.tenantId, [variantId]);
  assert.equal(stock?.onHand, 1);
  assert.deepEqual(await brokenInvariants(own), []);
});

test("transfers move units between places and crossed transfers do not deadlock", async () => {
  const own = await stockedTenant(bench, [
    [100, 100],
    [100, 100],
  ]);
  const [a, b] = own.variants;
  const [here, there] = own.locations;
  assert.ok(a && b && here && there);
  await Promise.all(
    Array.from({ length: 30 }, (_, index) => {
      const lines = [
        { variantId: a, quantity: 1 },
        { variantId: b, quantity: 1 },
      ];
      const even = index % 2 === 0;
      return own.inventory
        .transfer(own.ctx, {
          id: commandId(),
          from: even ? here : there,
          to: even ? there : here,
          lines: even ? lines : lines.toReversed(),
        })
        .then(expectOk);
    }),
  );
  const levels = expectOk(await own.inventory.listStock(own.tenantId, { limit: 10 }));
  assert.ok(levels.items.every((level) => level.onHand === 100));
  const too = await own.inventory.transfer(own.ctx, {
    id: commandId(),
    from: here,
    to: there,
    lines: [{ variantId: a, quantity: 101 }],
  });
  assert.equal(!too.ok && too.failure.code, "inventory.insufficient_stock");
  assert.deepEqual(await brokenInvariants(own), []);
});

test("lists stock page by page, what is low, and movements newest first", async () => {
  const own = await stockedTenant(bench, [
    [10, 1],
    [5, 9],
    [7, 0],
  ]);
  const [a] = own.variants;
  const [, second] = own.locations;
  assert.ok(a && second);
  expectOk(await own.inventory.setStock(own.ctx, [{ variantId: a, locationId: second, lowAt: 2 }]));
  const cells: string[] = [];
  let cursor: string | undefined;
  do {
    const page = expectOk(await own.inventory.listStock(own.tenantId, { limit: 4, cursor }));
    cells.push(...page.items.map((level) => `${level.variantId}/${level.locationId}`));
    cursor = page.nextCursor;
  } while (cursor);
  assert.equal(new Set(cells).size, 6);
  const low = expectOk(await own.inventory.listStock(own.tenantId, { low: true, limit: 10 }));
  assert.deepEqual(
    low.items.map((level) => [level.locationId, level.available, level.lowAt]),
    [[second, 1, 2]],
  );
  const bad = await own.inventory.listStock(own.tenantId, { limit: 4, cursor: "abc" });
  assert.equal(bad.ok, false);
});

test("any sequence of commands leaves the stock a naive shop would have", async () => {
  const variant = fc.nat({ max: 1 });
  const quantity = fc.integer({ min: 1, max: 4 });
  const step = fc.oneof(
    fc.record({
      do: fc.constant("reserve" as const),
      lines: fc.array(fc.record({ variant, quantity }), { minLength: 1, maxLength: 3 }),
      strategy: fc.constantFrom<ReservationStrategy>(
        "atomic",
        "optimistic",
        "pessimistic",
        "flash",
      ),
    }),
    fc.record({ do: fc.constantFrom("commit" as const, "release" as const), nth: fc.nat(9) }),
    fc.record({ do: fc.constant("adjust" as const), variant, by: fc.integer({ min: -5, max: 5 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const own = await stockedTenant(bench, [
        [4, 2],
        [3, 3],
      ]);
      const onHand = [6, 6];
      const reserved = [0, 0];
      const open: { id: ReservationId; units: number[] }[] = [];
      for (const what of steps) {
        if (what.do === "reserve") {
          const units = [0, 0];
          for (const line of what.lines)
            units[line.variant] = (units[line.variant] ?? 0) + line.quantity;
          const fits = units.every((n, v) => (onHand[v] ?? 0) - (reserved[v] ?? 0) >= n);
          const lines = what.lines.map((line) => ({
            variantId: own.variants[line.variant] as (typeof own.variants)[number],
            quantity: line.quantity,
          }));
          const outcome = await own.inventory.reserve(own.ctx, wish(lines), what.strategy);
          assert.equal(outcome.ok, fits);
          if (!outcome.ok) continue;
          units.forEach((n, v) => {
            reserved[v] = (reserved[v] ?? 0) + n;
          });
          open.push({ id: outcome.value.id, units });
        } else if (what.do === "adjust") {
          const [first] = own.locations;
          const variantId = own.variants[what.variant];
          assert.ok(first && variantId);
          const outcome = await own.inventory.adjust(own.ctx, {
            id: commandId(),
            reason: "correction",
            lines: [{ variantId, locationId: first, quantity: what.by }],
          });
          if (outcome.ok) onHand[what.variant] = (onHand[what.variant] ?? 0) + what.by;
        } else {
          const [settled] = open.splice(what.nth % Math.max(open.length, 1), 1);
          if (!settled) continue;
          if (what.do === "commit") {
            expectOk(await own.inventory.commitReservation(own.ctx, settled.id));
          } else expectOk(await own.inventory.releaseReservation(own.ctx, settled.id));
          settled.units.forEach((n, v) => {
            reserved[v] = (reserved[v] ?? 0) - n;
            if (what.do === "commit") onHand[v] = (onHand[v] ?? 0) - n;
          });
        }
      }
      const levels = await own.inventory.availability(own.tenantId, own.variants);
      assert.deepEqual(
        levels.map((level) => [level.onHand, level.reserved]),
        onHand.map((n, v) => [n, reserved[v]]),
      );
      assert.deepEqual(await brokenInvariants(own), []);
    }),
    { numRuns: 25 },
  );
});
