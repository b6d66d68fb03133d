import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "../../kernel/ids.ts";
import type { OrderId, ReturnId } from "../../modules/orders/contract.ts";
import type { PaymentOperationId } from "../../modules/payments/contract.ts";
import { must, openTestBrand } from "../../testing/brand.ts";
import { openTestShop, quarrelsWithBank, type TestShop, until } from "../../testing/shop.ts";
import type { PaymentChoice } from "../checkout/contract.ts";

let shop: TestShop;
before(async () => {
  shop = await openTestShop();
});
after(() => shop.stop());

const manual: PaymentChoice = { provider: "manual" };
const card: PaymentChoice = { provider: "simulator", instrumentToken: "tok_test_approved" };

async function setup() {
  const brand = await openTestBrand(shop.app);
  const { checkout, orders, sagas, payments } = shop.app.commerce;
  const [variantId = ""] = brand.variantIds;
  const buy = async (payment: PaymentChoice, couponCodes: readonly string[] = []) => {
    const orderId = newId<"order">() as OrderId;
    const lines = [{ variantId, quantity: 4 }];
    const command = { orderId, from: { basket: brand.basket({ lines, couponCodes }) }, payment };
    const outcome = must(await checkout.checkout(brand.ctx, command, 30_000));
    assert.ok(outcome.status === "paid" || payment.captureMode === "manual");
    return orderId;
  };
  const orderOf = async (orderId: OrderId) => must(await orders.get(brand.ctx, orderId)).order;
  const paymentOf = async (orderId: OrderId) => {
    const { items } = await payments.listPayments(brand.ctx, { orderId, limit: 10 });
    const [payment, second] = items;
    assert.ok(payment && !second, "one payment");
    return payment;
  };
  const settled = () =>
    until("all sagas have ended", async () => {
      const { items } = await sagas.list(brand.tenantId, { limit: 100 });
      return items.every(({ status }) => status !== "running" && status !== "compensating");
    });
  return { brand, variantId, buy, orderOf, paymentOf, settled, orders, payments };
}

describe("cancelling an order", () => {
  test("that is only authorised gives stock, coupon and ledger back and takes no money", async () => {
    const { brand, variantId, buy, orderOf, paymentOf, settled, orders } = await setup();
    await brand.coupon("ONE", { kind: "percentage", offBps: 1_000 }, 1);
    const orderId = await buy({ ...card, captureMode: "manual" }, ["ONE"]);
    assert.deepEqual(await brand.stock(variantId), { onHand: 100, reserved: 4 });
    must(await orders.step(brand.ctx, { orderId, to: "cancelled", reason: "changed my mind" }));
    await settled();
    assert.equal((await orderOf(orderId)).status, "cancelled");
    const { status, capturedMinor } = await paymentOf(orderId);
    assert.deepEqual({ status, capturedMinor }, { status: "voided", capturedMinor: 0 });
    assert.deepEqual(await brand.stock(variantId), { onHand: 100, reserved: 0 });
    assert.deepEqual(await brand.balances(), {});
    await buy(card, ["ONE"]);
    assert.deepEqual(await brand.broken(), []);
    assert.deepEqual(await quarrelsWithBank(shop.database, await shop.bank.log()), []);
  });

  test("that is paid is refused: its money goes back by a return or a refund", async () => {
    const { brand, buy, orders } = await setup();
    const orderId = await buy(card);
    const refused = await orders.step(brand.ctx, { orderId, to: "cancelled" });
    assert.equal(!refused.ok && refused.failure.code, "orders.illegal_transition");
    assert.deepEqual(await brand.broken(), []);
  });
});

describe("refunding a paid order", () => {
  for (const payment of [manual, card]) {
    test(`in full gives all the money back and ends the order (${payment.provider})`, async () => {
      const { brand, buy, orderOf, paymentOf, payments } = await setup();
      const orderId = await buy(payment);
      const paid = await paymentOf(orderId);
      const refund = {
        paymentId: paid.id,
        operationId: newId() as string as PaymentOperationId,
        amountMinor: paid.capturedMinor,
        basis: "goodwill" as const,
      };
      const answers = await Promise.all(
        [1, 2, 3].map(() => payments.refundPayment(brand.ctx, refund)),
      );
      assert.ok(answers.some(({ ok }) => ok));
      must(await payments.refundPayment(brand.ctx, refund));
      const { capturedMinor, refundedMinor } = await paymentOf(orderId);
      assert.deepEqual(
        { capturedMinor, refundedMinor },
        { capturedMinor: 4_500, refundedMinor: 4_500 },
      );
      assert.equal((await orderOf(orderId)).status, "refunded");
      const { "provider:manual": held, "provider:simulator": heldByBank } = await brand.balances();
      assert.deepEqual([held, heldByBank], [undefined, undefined]);
      assert.deepEqual(await brand.broken(), []);
      assert.deepEqual(await quarrelsWithBank(shop.database, await shop.bank.log()), []);
    });
  }
});

describe("a return", () => {
  test("of some units pays their part back, and all of it in the end", async () => {
    const { brand, variantId, buy, orderOf, paymentOf, settled, orders } = await setup();
    const orderId = await buy(card);
    const give = async (quantity: number) => {
      const id = newId<"return">() as ReturnId;
      const lines = [{ lineNo: 1, quantity }];
      must(await orders.returnGoods(brand.ctx, { id, orderId, lines }));
      await settled();
    };
    await give(1);
    assert.equal((await paymentOf(orderId)).refundedMinor, 1_000);
    assert.equal((await orderOf(orderId)).refundedMinor, 1_000);
    assert.deepEqual(await brand.stock(variantId), { onHand: 97, reserved: 0 });
    await give(3);
    assert.equal((await paymentOf(orderId)).refundedMinor, 4_000);
    assert.deepEqual(await brand.stock(variantId), { onHand: 100, reserved: 0 });
    // What stays is the shipping: 5.00 with its tax.
    assert.deepEqual(await brand.balances(), {
      "provider:simulator": 500,
      sales: -3_333,
      sales_returns: 3_333,
      shipping_revenue: -417,
      tax_payable: -83,
    });
    const id = newId<"return">() as ReturnId;
    const lines = [{ lineNo: 1, quantity: 1 }];
    const tooMuch = await orders.returnGoods(brand.ctx, { id, orderId, lines });
    assert.equal(tooMuch.ok, false);
    assert.deepEqual(await brand.broken(), []);
    assert.deepEqual(await quarrelsWithBank(shop.database, await shop.bank.log()), []);
  });

  test("without a receipt puts the goods back and owes the refund", async () => {
    const { brand, variantId, orders } = await setup();
    const returned = must(
      await orders.returnGoods(brand.ctx, {
        id: newId<"return">() as ReturnId,
        orderId: null,
        currency: "EUR",
        lines: [{ variantId, sku: "SKU-0", quantity: 2, refundMinor: 1_999 }],
      }),
    );
    assert.equal(returned.refundMinor, 1_999);
    assert.deepEqual(await brand.stock(variantId), { onHand: 102, reserved: 0 });
    assert.deepEqual(await brand.balances(), { refunds_payable: -1_999, sales_returns: 1_999 });
    assert.deepEqual(await brand.broken(), []);
  });

  test("with goods that cannot be sold again leaves the shelf as it is", async () => {
    const { brand, variantId, buy, settled, orders } = await setup();
    const orderId = await buy(manual);
    const lines = [{ lineNo: 1, quantity: 2, restock: false }];
    const id = newId<"return">() as ReturnId;
    must(await orders.returnGoods(brand.ctx, { id, orderId, lines }));
    await settled();
    assert.deepEqual(await brand.stock(variantId), { onHand: 96, reserved: 0 });
    assert.equal((await brand.balances())["provider:manual"], 2_500);
    assert.deepEqual(await brand.broken(), []);
  });
});
