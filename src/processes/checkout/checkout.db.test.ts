import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import type { Context } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import type { CartId } from "../../modules/carts/contract.ts";
import type { OrderId } from "../../modules/orders/contract.ts";
import { must, openTestBrand, type TestBrand } from "../../testing/brand.ts";
import { openTestShop, quarrelsWithBank, type TestShop } from "../../testing/shop.ts";
import type { Basket, PaymentChoice, PlaceOrder } from "./contract.ts";

let shop: TestShop;
before(async () => {
  shop = await openTestShop();
});
after(() => shop.stop());

const manual: PaymentChoice = { provider: "manual" };
const card = (behaviour: string): PaymentChoice => ({
  provider: "simulator",
  instrumentToken: `tok_test_${behaviour}`,
});
const waitMs = 30_000;

async function setup(options: { readonly units?: number } = {}) {
  const brand = await openTestBrand(shop.app, options);
  const { checkout, carts, orders } = shop.app.commerce;
  const order = (change: Partial<Basket> = {}, payment: PaymentChoice | null = manual) =>
    ({
      orderId: newId<"order">() as OrderId,
      from: { basket: brand.basket(change) },
      payment,
    }) satisfies PlaceOrder;
  const cart = async (change: Partial<Basket> = {}) => {
    const { currency, ...patch } = brand.basket(change);
    const id = newId<"cart">() as CartId;
    must(await carts.change(brand.ctx, { id, create: { currency }, patch }));
    return id;
  };
  const code = async (command: PlaceOrder) => {
    const result = await checkout.checkout(brand.ctx, command, waitMs);
    return result.ok ? "accepted" : result.failure.code;
  };
  const statusOf = async (orderId: OrderId) =>
    must(await orders.get(brand.ctx, orderId)).order.status;
  return { brand, order, cart, code, statusOf, checkout, carts, orders };
}

function withKey(ctx: Context, key: string, body: string): Context {
  const fingerprint = createHash("sha256").update(body).digest("hex");
  const idempotency = { key, principal: "key:1", route: "POST /v1/orders", fingerprint };
  return { ...ctx, idempotency };
}

async function count(brand: TestBrand, table: string): Promise<number> {
  const [row] = await shop.database.query<{ count: string }>(
    `select count(*)::text as count from shared.${table} where tenant_id = $1`,
    [brand.tenantId],
  );
  return Number(row?.count);
}

describe("placing an order", () => {
  test("of a basket paid in this process: one transaction settles stock, ledger and order", async () => {
    const { brand, order, checkout, statusOf } = await setup();
    const [variantId = ""] = brand.variantIds;
    const command = order({ lines: [{ variantId, quantity: 3 }] });
    const outcome = must(await checkout.checkout(brand.ctx, command, waitMs));
    assert.equal(outcome.status, "paid");
    assert.equal(outcome.totalMinor, 3_500);
    assert.equal(outcome.sagaId, null);
    assert.equal(await statusOf(command.orderId), "paid");
    assert.deepEqual(await brand.stock(variantId), { onHand: 97, reserved: 0 });
    assert.deepEqual(await brand.balances(), {
      "provider:manual": 3_500,
      sales: -2_500,
      shipping_revenue: -417,
      tax_payable: -583,
    });
    assert.deepEqual(await brand.broken(), []);
  });

  test("of a cart closes the cart; a second checkout of it names the first order", async () => {
    const { brand, cart, checkout, carts } = await setup();
    const cartId = await cart();
    const orderId = newId<"order">() as OrderId;
    const command = { orderId, from: { cartId }, payment: manual };
    assert.equal(must(await checkout.checkout(brand.ctx, command, waitMs)).status, "paid");
    assert.equal(must(await carts.get(brand.ctx, cartId)).cart.orderId, orderId);
    const again = { ...command, orderId: newId<"order">() as OrderId };
    const refused = await checkout.checkout(brand.ctx, again, waitMs);
    assert.deepEqual(!refused.ok && refused.failure, {
      code: "carts.already_ordered",
      cartId,
      orderId,
    });
  });

  test("refuses what is not complete, each for its own reason, and leaves nothing behind", async () => {
    const { brand, order, code } = await setup({ units: 2 });
    const [variantId = ""] = brand.variantIds;
    const refusals: readonly (readonly [string, PlaceOrder])[] = [
      ["checkout.empty", order({ lines: [] })],
      ["checkout.email_missing", order({ email: null })],
      ["checkout.address_missing", order({ shippingAddress: null })],
      ["checkout.shipping_method_missing", order({ shippingMethodId: null })],
      ["checkout.payment_missing", order({}, null)],
      ["checkout.unknown_provider", order({}, { provider: "nobody" })],
      ["checkout.coupon_refused", order({ couponCodes: ["NEVER"] })],
      ["carts.unknown_variant", order({ lines: [{ variantId: newId(), quantity: 1 }] })],
      ["carts.no_price", order({ currency: "USD" })],
      ["carts.unknown_shipping_method", order({ shippingMethodId: newId() })],
      ["inventory.out_of_stock", order({ lines: [{ variantId, quantity: 3 }] })],
      [
        "carts.not_found",
        { orderId: newId<"order">(), from: { cartId: newId<"cart">() }, payment: manual },
      ],
    ];
    const seen = await Promise.all(refusals.map(([, command]) => code(command)));
    assert.deepEqual(
      seen,
      refusals.map(([expected]) => expected),
    );
    for (const table of ["orders", "payments", "reservations", "ledger_entries"]) {
      assert.equal(await count(brand, table), 0, table);
    }
    assert.deepEqual(await brand.stock(variantId), { onHand: 2, reserved: 0 });
  });

  test("in one batch refuses only those who have to be: the stock goes to the first", async () => {
    const { brand, order, code } = await setup({ units: 5 });
    const codes = await Promise.all(Array.from({ length: 12 }, () => code(order())));
    assert.equal(codes.filter((each) => each === "accepted").length, 5);
    assert.equal(codes.filter((each) => each === "inventory.out_of_stock").length, 7);
    assert.equal(await count(brand, "orders"), 5);
    assert.deepEqual(await brand.broken(), []);
  });

  test("takes a coupon's uses, never more of them than there are", async () => {
    const { brand, order, code, checkout } = await setup();
    await brand.coupon("TENTH", { kind: "percentage", offBps: 1_000 }, 2);
    const outcome = must(
      await checkout.checkout(brand.ctx, order({ couponCodes: ["tenth"] }), waitMs),
    );
    assert.equal(outcome.totalMinor, 1_400);
    const codes = await Promise.all(
      Array.from({ length: 4 }, () => code(order({ couponCodes: ["TENTH"] }))),
    );
    assert.equal(codes.filter((each) => each === "accepted").length, 1);
    for (const refused of codes.filter((each) => each !== "accepted"))
      assert.match(refused, /promotions\.used_up|checkout\.coupon_refused/);
    assert.equal(await count(brand, "orders"), 2);
    assert.deepEqual(await brand.stock(brand.variantIds[0] ?? ""), { onHand: 98, reserved: 0 });
    assert.deepEqual(await brand.broken(), []);
  });

  test("that costs nothing needs no payment and posts nothing", async () => {
    const { brand, order, checkout, statusOf } = await setup();
    await brand.coupon("GIFT", { kind: "percentage", offBps: 10_000 });
    const gift = order({ couponCodes: ["GIFT"], shippingMethodId: brand.pickupMethodId }, null);
    const outcome = must(await checkout.checkout(brand.ctx, gift, waitMs));
    assert.deepEqual(
      { status: outcome.status, total: outcome.totalMinor, paymentId: outcome.paymentId },
      { status: "paid", total: 0, paymentId: null },
    );
    assert.equal(await statusOf(gift.orderId), "paid");
    assert.deepEqual(await brand.stock(brand.variantIds[0] ?? ""), { onHand: 99, reserved: 0 });
    assert.deepEqual(await brand.balances(), {});
    assert.deepEqual(await brand.broken(), []);
  });

  test("with the id of an order that exists is refused", async () => {
    const { order, code, brand } = await setup();
    const command = order();
    assert.equal(await code(command), "accepted");
    assert.equal(await code(command), "checkout.order_exists");
    assert.equal(await count(brand, "orders"), 1);
  });
});

describe("an idempotency key", () => {
  test("S8: makes one order of 50 simultaneous identical requests, with one answer", async () => {
    const { brand, order, checkout } = await setup();
    const ask = () => {
      const command = order({}, card("approved"));
      return checkout.checkout(withKey(brand.ctx, "fifty", "same"), command, waitMs);
    };
    let answers = await Promise.all(Array.from({ length: 50 }, ask));
    const inFlight = answers.filter(({ ok }) => !ok);
    for (const refused of inFlight)
      assert.equal(!refused.ok && refused.failure.code, "idempotency.in_flight");
    answers = [...answers.filter(({ ok }) => ok), ...(await Promise.all(inFlight.map(ask)))];
    const bodies = new Set(
      answers.map((answer) => {
        const { orderId, number, status, paymentId } = must(answer);
        return JSON.stringify({ orderId, number, status, paymentId });
      }),
    );
    assert.equal(bodies.size, 1, [...bodies].join("\n"));
    for (const table of ["orders", "payments"]) assert.equal(await count(brand, table), 1, table);
    assert.deepEqual(await brand.stock(brand.variantIds[0] ?? ""), { onHand: 99, reserved: 0 });
    assert.deepEqual(await brand.broken(), []);
  });

  test("with another body is refused, and with another principal is another key", async () => {
    const { brand, order, checkout } = await setup();
    const ctx = withKey(brand.ctx, "k", "one");
    must(await checkout.checkout(ctx, order(), waitMs));
    const other = await checkout.checkout(withKey(brand.ctx, "k", "two"), order(), waitMs);
    assert.equal(!other.ok && other.failure.code, "idempotency.key_reused");
    const claim = withKey(brand.ctx, "k", "two").idempotency;
    assert.ok(claim);
    const theirs = { ...brand.ctx, idempotency: { ...claim, principal: "key:2" } };
    must(await checkout.checkout(theirs, order(), waitMs));
    assert.equal(await count(brand, "orders"), 2);
  });

  test("of a refused request is free again", async () => {
    const { brand, order, checkout } = await setup({ units: 1 });
    const [variantId = ""] = brand.variantIds;
    const key = () => withKey(brand.ctx, "again", "same");
    const tooMany = order({ lines: [{ variantId, quantity: 2 }] });
    const refused = await checkout.checkout(key(), tooMany, waitMs);
    assert.equal(!refused.ok && refused.failure.code, "inventory.out_of_stock");
    must(
      await shop.app.commerce.inventory.setStock(brand.ctx, [
        { variantId: variantId as never, locationId: brand.locationId as never, onHand: 2 },
      ]),
    );
    assert.equal(must(await checkout.checkout(key(), tooMany, waitMs)).status, "paid");
  });

  test("replays the final outcome of a remote payment, paid or declined", async () => {
    const { brand, order, checkout } = await setup();
    for (const behaviour of ["approved", "card_declined"]) {
      const ask = () => {
        const ctx = withKey(brand.ctx, `final ${behaviour}`, "same");
        return checkout.checkout(ctx, order({}, card(behaviour)), waitMs);
      };
      const first = await ask();
      const again = await ask();
      if (first.ok) assert.deepEqual({ ...must(again), sagaId: null }, { ...first.value });
      else assert.deepEqual(again, first);
      assert.equal(first.ok, behaviour === "approved");
    }
    assert.equal(await count(brand, "orders"), 2);
  });
});

describe("a remote payment", () => {
  test("is charged once, and then the order is paid and the stock sold", async () => {
    const { brand, order, checkout, statusOf } = await setup();
    const command = order({}, card("approved"));
    const outcome = must(await checkout.checkout(brand.ctx, command, waitMs));
    assert.equal(outcome.status, "paid");
    assert.equal(await statusOf(command.orderId), "paid");
    assert.deepEqual(await brand.stock(brand.variantIds[0] ?? ""), { onHand: 99, reserved: 0 });
    assert.equal((await brand.balances())["provider:simulator"], 1_500);
    assert.deepEqual(await brand.broken(), []);
    assert.deepEqual(await quarrelsWithBank(shop.database, await shop.bank.log()), []);
  });

  test("that is declined gives stock, coupon, cart and ledger back", async () => {
    const { brand, cart, checkout, carts, statusOf } = await setup();
    await brand.coupon("ONCE", { kind: "percentage", offBps: 1_000 }, 1);
    const cartId = await cart({ couponCodes: ["ONCE"] });
    const pay = (payment: PaymentChoice) => {
      const orderId = newId<"order">() as OrderId;
      return { orderId, from: { cartId }, payment };
    };
    const first = pay(card("card_declined"));
    const refused = await checkout.checkout(brand.ctx, first, waitMs);
    assert.deepEqual(!refused.ok && refused.failure, {
      code: "checkout.payment_declined",
      orderId: first.orderId,
      failureCode: "card_declined",
    });
    assert.equal(await statusOf(first.orderId), "cancelled");
    assert.deepEqual(await brand.stock(brand.variantIds[0] ?? ""), { onHand: 100, reserved: 0 });
    assert.deepEqual(await brand.balances(), {});
    assert.equal(must(await carts.get(brand.ctx, cartId)).cart.status, "open");
    const second = must(await checkout.checkout(brand.ctx, pay(card("approved")), waitMs));
    assert.equal(second.status, "paid");
    assert.equal(second.totalMinor, 1_400);
    assert.deepEqual(await brand.broken(), []);
  });

  test("that is only authorised holds the stock until it is captured", async () => {
    const { brand, order, checkout, statusOf } = await setup();
    const command = order({}, { ...card("approved"), captureMode: "manual" });
    const outcome = must(await checkout.checkout(brand.ctx, command, waitMs));
    assert.equal(outcome.status, "authorised");
    assert.equal(await statusOf(command.orderId), "confirmed");
    assert.deepEqual(await brand.stock(brand.variantIds[0] ?? ""), { onHand: 100, reserved: 1 });
    assert.deepEqual(await brand.broken(), []);
  });

  test("that wants a confirmation answers with the bank's page", async () => {
    const { brand, order, checkout, statusOf } = await setup();
    const command = order({}, { ...card("confirmation"), returnUrl: "https://shop.example/back" });
    const outcome = must(await checkout.checkout(brand.ctx, command, waitMs));
    assert.equal(outcome.status, "action_required");
    assert.match(outcome.nextActionUrl ?? "", /^http/);
    assert.equal(await statusOf(command.orderId), "pending");
    assert.deepEqual(await brand.stock(brand.variantIds[0] ?? ""), { onHand: 100, reserved: 1 });
  });

  test("whose answer is lost is found out by asking: charged once", async () => {
    const { brand, order, checkout } = await setup();
    await shop.bank.turn({ lossStyle: "cut" });
    for (const behaviour of ["answer_lost", "request_lost"]) {
      const outcome = must(await checkout.checkout(brand.ctx, order({}, card(behaviour)), waitMs));
      assert.equal(outcome.status, "paid", behaviour);
    }
    assert.deepEqual(await brand.broken(), []);
    assert.deepEqual(await quarrelsWithBank(shop.database, await shop.bank.log()), []);
  });
});
