import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import type { RecordedEvent } from "../../platform/events/events.ts";

import { must, openTestBrand } from "../../testing/brand.ts";
import { openTestShop, type TestShop } from "../../testing/shop.ts";
import type { OrderId } from "../orders/contract.ts";
import { findOrders } from "../orders/index.ts";
import { receiptJobs, receiptSubscription } from "./index.ts";

describe("receipts", () => {
  let shop: TestShop;
  before(async () => {
    shop = await openTestShop();
  });
  after(() => shop.stop());

  async function setup() {
    const brand = await openTestBrand(shop.app);
    const { checkout, db } = shop.app.commerce;
    const place = async (): Promise<OrderId> => {
      const orderId = newId<"order">() as OrderId;
      const command = {
        orderId,
        from: { basket: brand.basket() },
        payment: { provider: "manual" },
      };
      must(await checkout.place(brand.ctx, command));
      return orderId;
    };
    const rows = (sql: string) =>
      shop.database.query<Record<string, string>>(sql, [brand.tenantId]);
    return { brand, db, place, rows };
  }

  it("are asked for once by an order that is placed as paid", async () => {
    const { brand, db, place, rows } = await setup();
    const orders = [await place(), await place()];
    const { types = [], handle } = receiptSubscription() as never as {
      types?: readonly string[];
      handle: (tx: unknown, events: readonly RecordedEvent[]) => Promise<void>;
    };
    const events = await rows(
      `select id, type, data, request_id as "requestId", metadata from platform.events
       where tenant_id = $1 and type = any('{${types.join(",")}}') order by position`,
    );
    await db.commit(brand.tenantId, (tx) => handle(tx, events as never));
    const jobs = await rows(
      "select id from platform.jobs_ready where tenant_id = $1 and kind = 'receipts.issue'",
    );
    assert.deepEqual(jobs.map(({ id }) => id).sort(), orders.toSorted());
  });

  it("are issued once, with one event, whatever runs twice", async () => {
    const { brand, db, place, rows } = await setup();
    const orders = [await place(), await place()];
    const [issue] = receiptJobs({ db, findOrders, brandOf: async () => "Brand" });
    const run = (orderId: string) =>
      issue?.handle({ ctx: brand.ctx, job: { payload: { orderId } } } as never);
    // In one batch, and again behind it.
    await Promise.all([...orders, ...orders, newId()].map(run));
    await Promise.all(orders.map(run));
    const receipts = await rows("select order_id from shared.receipts where tenant_id = $1");
    assert.deepEqual(receipts.map((row) => row["order_id"]).sort(), orders.toSorted());
    const events = await rows(
      "select stream from platform.events where tenant_id = $1 and type = 'receipts.receipt_issued'",
    );
    assert.deepEqual(
      events.map(({ stream }) => stream).sort(),
      orders.map((id) => `order:${id}`).sort(),
    );
  });
});
