import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { newId, newIdAt } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import type { Asked, FulfilmentId, OrderReturn, OrderState, ReturnId } from "./contract.ts";
import { recordRefunds, recordReturns, transitionOrders } from "./index.ts";
import {
  askedBy,
  eventsOf,
  freshCaller,
  place,
  someLine,
  someOrder,
  startOrders,
} from "./orders.fixture.ts";

describe("orders on PostgreSQL", async () => {
  const cancelled: Asked<OrderState>[] = [];
  const returned: Asked<OrderReturn>[] = [];
  const fixture = await startOrders({
    effects: {
      onCancelled: async (_tx, orders) => cancelled.push(...orders),
      onReturned: async (_tx, returns) => returned.push(...returns),
    },
  });
  const { orders, db, statements } = fixture;
  after(() => fixture.stop());

  const setup = async (status: "pending" | "paid" = "pending") => {
    const ctx = freshCaller();
    const [orderId] = await place(fixture, ctx, [someOrder({ status })]);
    assert(orderId);
    const read = async () => {
      const found = await orders.get(ctx, orderId);
      assert(found.ok);
      return found.value;
    };
    return { ctx, orderId, read };
  };

  it("reads back what was written, to the last decimal", async () => {
    const ctx = freshCaller();
    const exact = someLine({ unitPriceExact: "0.425", variantId: null });
    const wanted = someOrder({
      lines: [exact, someLine({ sku: "B" })],
      externalReference: "536365",
      billingAddress: { name: "Bob" },
    });
    await place(fixture, ctx, [wanted]);
    const found = await orders.get(ctx, wanted.id);
    assert(found.ok);
    const { order } = found.value;
    assert.deepEqual(order.totals, wanted.totals);
    assert.deepEqual(
      order.lines.map(
        ({ lineNo, fulfilledQuantity, returnedQuantity, returnedMinor, ...line }) => line,
      ),
      wanted.lines,
    );
    assert.deepEqual(order.shippingAddress, wanted.shippingAddress);
    assert.deepEqual(order.billingAddress, { name: "Bob" });
    assert.deepEqual(order.couponCodes, ["TEN"]);
    assert.equal(order.email, "ada@example.com");
    assert.equal(order.externalReference, "536365");
    assert.equal(order.placedAt.getTime(), wanted.placedAt.getTime());
    assert.deepEqual(await eventsOf(fixture, wanted.id), ["orders.order_placed"]);
  });

  it("takes an order of more lines than its event can carry", async () => {
    const ctx = freshCaller();
    const lines = Array.from({ length: 1_500 }, (_, index) => someLine({ sku: `SKU-${index}` }));
    const wanted = someOrder({ lines });
    await place(fixture, ctx, [wanted]);
    const found = await orders.get(ctx, wanted.id);
    assert(found.ok && found.value.order.lines.length === 1_500);
    const [event] = await fixture.database.query<{ data: { lineCount: number; lines: unknown[] } }>(
      "select data from platform.events where stream = $1",
      [`order:${wanted.id}`],
    );
    assert.deepEqual([event?.data.lineCount, event?.data.lines], [1_500, []]);
  });

  it("records an imported order as placed and paid", async () => {
    const { orderId } = await setup("paid");
    assert.deepEqual(await eventsOf(fixture, orderId), [
      "orders.order_placed",
      "orders.order_paid",
    ]);
  });

  it("moves many orders in as many statements as one, each with its own verdict", async () => {
    const ctx = freshCaller();
    const count = 300;
    const ids = await place(
      fixture,
      ctx,
      Array.from({ length: count }, () => someOrder()),
    );
    const changes = [
      ...ids.map((orderId) => ({ orderId, to: "paid" as const })),
      { orderId: newId<"order">(), to: "paid" as const },
      { orderId: ids[0] ?? newId<"order">(), to: "fulfilled" as const, expectedVersion: 2 },
      { orderId: ids[1] ?? newId<"order">(), to: "completed" as const },
      { orderId: ids[2] ?? newId<"order">(), to: "fulfilled" as const, expectedVersion: 1 },
    ];
    statements.length = 0;
    const results = await db.commit(ctx.tenantId, (tx) =>
      transitionOrders(tx, askedBy(ctx, changes)),
    );
    const names = statements
      .map(({ name }) => name.replace(/:.*/, ""))
      .filter((name) => /^orders/.test(name));
    assert.deepEqual(names.sort(), [
      "orders.fulfil_all_lines",
      "orders.lock",
      "orders.update_states",
    ]);
    assert.equal(results.filter((result) => result.ok).length, count + 1);
    assert.deepEqual(
      results.slice(count).map((result) => (result.ok ? result.value.status : result.failure.code)),
      ["orders.not_found", "fulfilled", "orders.illegal_transition", "orders.version_conflict"],
    );
    const found = await orders.get(ctx, ids[0] ?? newId<"order">());
    assert(found.ok);
    assert.deepEqual(
      found.value.order.lines.map((line) => line.fulfilledQuantity),
      [1, 2],
    );
  });

  it("lets one of two racing callers win and tells the other", async () => {
    const { ctx, orderId } = await setup();
    const results = await Promise.all(
      ["paid", "cancelled"].map((to) =>
        orders.step(ctx, { orderId, to: to as "paid" | "cancelled", expectedVersion: 1 }),
      ),
    );
    assert.equal(results.filter((result) => result.ok).length, 1);
    const refused = results.find((result) => !result.ok);
    assert(refused && !refused.ok && refused.failure.code === "orders.version_conflict");
  });

  it("tells the effects which orders were cancelled, and only those", async () => {
    const { ctx, orderId } = await setup();
    const { orderId: paidId } = await setup("paid");
    cancelled.length = 0;
    const step = await orders.step(ctx, { orderId, to: "cancelled", reason: "changed my mind" });
    assert(step.ok && step.value.order.status === "cancelled");
    const refused = await orders.step(ctx, { orderId: paidId, to: "cancelled" });
    assert(!refused.ok);
    assert.deepEqual(
      cancelled.map(({ item }) => item.id),
      [orderId],
    );
    assert.deepEqual(await eventsOf(fixture, orderId), [
      "orders.order_placed",
      "orders.order_cancelled",
    ]);
  });

  it("keeps nothing of a change whose effect fails", async () => {
    const { ctx, orderId, read } = await setup();
    const failing = {
      onCancelled: async () => {
        throw new Error("stock is away");
      },
    };
    await assert.rejects(
      db.transact(ctx.tenantId, async (tx) => {
        await transitionOrders(tx, askedBy(ctx, [{ orderId, to: "cancelled" as const }]), failing);
        return ok(undefined);
      }),
      /stock is away/,
    );
    assert.equal((await read()).order.status, "pending");
    assert.deepEqual(await eventsOf(fixture, orderId), ["orders.order_placed"]);
  });

  it("sends an order in parcels until nothing is open", async () => {
    const { ctx, orderId, read } = await setup("paid");
    const first = await orders.fulfil(ctx, {
      id: newId() as FulfilmentId,
      orderId,
      carrier: "DHL",
      trackingCode: "JD01",
      lines: [{ lineNo: 2, quantity: 1 }],
    });
    assert(first.ok && first.value.order.status === "paid");
    const again = await orders.fulfil(ctx, {
      id: first.value.fulfilments[0]?.id as FulfilmentId,
      orderId,
    });
    assert(!again.ok && again.failure.code === "orders.duplicate_id");
    const rest = await orders.fulfil(ctx, { id: newId() as FulfilmentId, orderId });
    assert(rest.ok && rest.value.order.status === "fulfilled");
    const { fulfilments, order } = await read();
    assert.equal(order.version, 3);
    assert.deepEqual(
      fulfilments.map((one) => one.lines),
      [
        [{ lineNo: 2, quantity: 1 }],
        [
          { lineNo: 1, quantity: 1 },
          { lineNo: 2, quantity: 1 },
        ],
      ],
    );
    assert.deepEqual(await eventsOf(fixture, orderId), [
      "orders.order_placed",
      "orders.order_paid",
      "orders.fulfilment_created",
      "orders.fulfilment_created",
      "orders.order_fulfilled",
    ]);
  });

  it("takes goods back with and without a receipt", async () => {
    const { ctx, orderId, read } = await setup("paid");
    returned.length = 0;
    const wanted = askedBy(ctx, [
      { id: newId() as ReturnId, orderId, lines: [{ lineNo: 2, quantity: 1 }] },
      { id: newId() as ReturnId, orderId, lines: [{ lineNo: 2, quantity: 2 }] },
      {
        id: newId() as ReturnId,
        orderId: null,
        currency: "EUR",
        reason: "no receipt",
        lines: [{ variantId: null, sku: "OLD", quantity: 3, refundMinor: 250, restock: false }],
      },
    ]);
    const results = await db.commit(ctx.tenantId, (tx) =>
      recordReturns(tx, wanted, {
        now: new Date(),
        effects: { onReturned: async (_tx, made) => returned.push(...made) },
      }),
    );
    assert.deepEqual(
      results.map((result) => (result.ok ? result.value.refundMinor : result.failure.code)),
      [1_000, "orders.too_many_units", 250],
    );
    assert.deepEqual(
      returned.map(({ item }) => item.orderId),
      [orderId, null],
    );
    const { order, returns } = await read();
    assert.deepEqual([order.status, order.version], ["paid", 2]);
    assert.equal(order.lines[1]?.returnedQuantity, 1);
    assert.equal(returns[0]?.lines[0]?.sku, "SOCKS");
  });

  it("counts refunds up to the total and not a cent further", async () => {
    const { ctx, orderId, read } = await setup("paid");
    const refunds = [1_000, 2_490, 1].map((amountMinor) => ({ orderId, amountMinor }));
    const results = await db.commit(ctx.tenantId, (tx) => recordRefunds(tx, askedBy(ctx, refunds)));
    assert.deepEqual(
      results.map((result) => (result.ok ? result.value.status : result.failure.code)),
      ["paid", "refunded", "orders.illegal_transition"],
    );
    assert.equal((await read()).order.refundedMinor, 3_490);
    assert.deepEqual((await eventsOf(fixture, orderId)).slice(2), [
      "orders.refund_recorded",
      "orders.refund_recorded",
      "orders.order_refunded",
    ]);
  });

  it("edits what was given and leaves the rest", async () => {
    const { ctx, orderId, read } = await setup();
    const before = (await read()).order;
    const patch = { email: "New@Example.com", metadata: { gift: true } };
    const edited = await orders.edit(ctx, { orderId, patch, ifMatch: 1 });
    assert(edited.ok);
    const { order } = edited.value;
    assert.deepEqual(
      [order.email, order.metadata, order.version],
      ["new@example.com", { gift: true }, 2],
    );
    assert.deepEqual(order.shippingAddress, before.shippingAddress);
    const stale = await orders.edit(ctx, { orderId, patch, ifMatch: 1 });
    assert.deepEqual(stale, {
      ok: false,
      failure: { code: "orders.stale_version", orderId, version: 2 },
    });
    const cleared = await orders.edit(ctx, {
      orderId,
      patch: { shippingAddress: null },
      ifMatch: 2,
    });
    assert(cleared.ok && cleared.value.order.shippingAddress === null);
  });

  it("shows another tenant nothing and lets it change nothing", async () => {
    const { orderId, read } = await setup();
    const stranger = freshCaller();
    const found = await orders.get(stranger, orderId);
    assert(!found.ok && found.failure.code === "orders.not_found");
    const step = await orders.step(stranger, { orderId, to: "cancelled" });
    assert(!step.ok && step.failure.code === "orders.not_found");
    assert.equal((await read()).order.status, "pending");
  });

  it("refuses an id that is taken, with everything else of the transaction", async () => {
    const { ctx, orderId } = await setup();
    const fresh = someOrder();
    await assert.rejects(place(fixture, ctx, [fresh, someOrder({ id: orderId })]), {
      code: "ERR_DB_CONSTRAINT",
    });
    assert(!(await orders.get(ctx, fresh.id)).ok);
  });

  it("puts an order into the month it was placed in", async () => {
    const ctx = freshCaller();
    const placedAt = new Date();
    const old = new Date("2011-03-04T05:06:07Z");
    await place(fixture, ctx, [
      someOrder({ placedAt }),
      someOrder({ id: newIdAt<"order">(old), placedAt: old }),
    ]);
    const rows = await fixture.database.query<{ home: string; lines: string }>(
      `select o.tableoid::regclass::text as home,
         (select min(l.tableoid::regclass::text) from shared.order_lines l
          where l.tenant_id = o.tenant_id and l.order_id = o.id) as lines
       from shared.orders o where o.tenant_id = $1 order by o.id`,
      [ctx.tenantId],
    );
    const month = placedAt.toISOString().slice(0, 7).replace("-", "m");
    assert.deepEqual(rows, [
      { home: "shared.orders_default", lines: "shared.order_lines_default" },
      { home: `shared.orders_y${month}`, lines: `shared.order_lines_y${month}` },
    ]);
  });
});
