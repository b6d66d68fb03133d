import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { createDb } from "../../platform/db/db.ts";
import { createTestDatabase } from "../../testing/database.ts";
import type { NewPromotion } from "./contract.ts";
import { createPromotions, promotionInvariants } from "./index.ts";

describe("promotions on PostgreSQL", async () => {
  const database = await createTestDatabase();
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  after(async () => {
    await db.stop();
    await database.drop();
  });
  const promotions = createPromotions({ db });

  const setup = () => {
    const ctx = systemContext(newId<"tenant">(), "test");
    const { tenantId } = ctx;
    const make = async (more: Partial<NewPromotion> = {}) => {
      const made = await promotions.create(ctx, {
        name: "Ten percent",
        trigger: "code",
        action: { kind: "percentage", offBps: 1_000 },
        ...more,
      });
      assert.ok(made.ok);
      return made.value;
    };
    const coupon = async (promotionId: NewPromotion["id"], code: string, usageLimit?: number) => {
      assert.ok(promotionId);
      const made = await promotions.createCoupons(ctx, [
        { promotionId, code, usageLimit: usageLimit ?? null },
      ]);
      assert.ok(made.ok && made.value[0]);
      return made.value[0];
    };
    const redeem = (...requests: Parameters<typeof promotions.redeemCoupons>[1][number][]) =>
      db.commit(tenantId, (tx) => promotions.redeemCoupons(tx, requests));
    const release = (...orderIds: string[]) =>
      db.commit(tenantId, (tx) => promotions.releaseRedemptions(tx, ctx, orderIds));
    const request = (
      use: { promotionId: NonNullable<NewPromotion["id"]>; couponId?: never } | object,
      customerId: string | null = null,
      orderId: string = newId<"order">(),
    ) => ({
      origin: ctx,
      orderId,
      customerId,
      uses: [{ couponId: null, ...use }] as Parameters<
        typeof promotions.redeemCoupons
      >[1][number]["uses"],
    });
    const code = (result: { ok: true } | { ok: false; failure: { code: string } } | undefined) =>
      result?.ok ? "ok" : (result?.failure.code ?? "none");
    return { ctx, tenantId, make, coupon, redeem, release, request, code };
  };

  it("makes and changes promotions and coupons, and refuses stale and bad ones", async () => {
    const { ctx, tenantId, make, coupon } = setup();
    const promotion = await make();
    assert.deepEqual(await promotions.find(tenantId, promotion.id), promotion);
    const target = { id: promotion.id, expectedVersion: 1 };
    const changed = await promotions.update(ctx, target, { name: "New", usageLimit: 5 });
    assert.ok(changed.ok);
    assert.deepEqual(changed.value, { ...promotion, name: "New", usageLimit: 5, version: 2 });
    assert.deepEqual(await promotions.find(tenantId, promotion.id), changed.value);
    assert.deepEqual(await promotions.update(ctx, target, {}), {
      ok: false,
      failure: { code: "promotions.stale", version: 2 },
    });
    const bad = await promotions.update(
      ctx,
      { id: promotion.id },
      { action: { kind: "percentage", offBps: 10_001 } },
    );
    assert.ok(!bad.ok && bad.failure.code === "promotions.invalid");
    const made = await coupon(promotion.id, "summer-26");
    assert.equal(made.code, "SUMMER-26");
    const taken = await promotions.createCoupons(ctx, [
      { promotionId: promotion.id, code: "FREE" },
      { promotionId: promotion.id, code: "Summer-26" },
    ]);
    assert.deepEqual(taken, {
      ok: false,
      failure: { code: "promotions.code_taken", couponCode: "SUMMER-26" },
    });
    assert.equal((await promotions.listCoupons(tenantId, { limit: 10 })).length, 1);
  });

  it("loads automatic promotions and those of the codes, in one statement", async () => {
    const { ctx, tenantId, make, coupon } = setup();
    const automatic = await make({ trigger: "automatic" });
    await make({ trigger: "automatic", status: "disabled" });
    const first = await make();
    await coupon(first.id, "A");
    await coupon((await make()).id, "B");
    const disabled = await make({ status: "disabled" });
    await coupon(disabled.id, "OFF");
    const rules = await db.read(tenantId, (tx) => promotions.loadPromotions(tx, ["a", "OFF", "?"]));
    assert.deepEqual(
      rules.map(({ promotion, coupon: held }) => [promotion.id, held?.code]).sort(),
      [
        [automatic.id, undefined],
        [first.id, "A"],
        [disabled.id, "OFF"],
      ].sort(),
    );
    const other = systemContext(newId<"tenant">(), "test");
    assert.deepEqual(
      await db.read(other.tenantId, (tx) => promotions.loadPromotions(tx, ["a"])),
      [],
    );
    assert.equal(ctx.tenantId, tenantId);
  });

  it("redeems in arrival order up to the limit, and again after a release", async () => {
    const { tenantId, make, redeem, release, request, code } = setup();
    const promotion = await make({ usageLimit: 2 });
    const requests = [1, 2, 3].map(() => request({ promotionId: promotion.id }));
    const results = await redeem(...requests);
    assert.deepEqual(results.map(code), ["ok", "ok", "promotions.used_up"]);
    assert.equal((await promotions.find(tenantId, promotion.id))?.usedCount, 2);
    const [first, , third] = requests;
    assert.ok(first && third);
    assert.equal(await release(first.orderId), 1);
    assert.equal(await release(first.orderId), 0);
    assert.deepEqual((await redeem(third)).map(code), ["ok"]);
    assert.equal((await promotions.find(tenantId, promotion.id))?.usedCount, 2);
  });

  it("counts an order once however often it redeems", async () => {
    const { tenantId, make, coupon, redeem, request, code } = setup();
    const promotion = await make();
    const { id: couponId } = await coupon(promotion.id, "ONCE", 1);
    const asked = request({ promotionId: promotion.id, couponId });
    assert.deepEqual((await redeem(asked, asked)).map(code), ["ok", "ok"]);
    assert.deepEqual((await redeem(asked)).map(code), ["ok"]);
    assert.equal((await promotions.find(tenantId, promotion.id))?.usedCount, 1);
    assert.equal((await promotions.findCoupon(tenantId, couponId))?.usedCount, 1);
  });

  it("limits each customer, and needs one", async () => {
    const { make, redeem, request, code } = setup();
    const { id: promotionId } = await make({ usageLimitPerCustomer: 1 });
    const [anna, ben] = [newId<"customer">(), newId<"customer">()];
    const results = await redeem(
      request({ promotionId }, anna),
      request({ promotionId }, anna),
      request({ promotionId }, ben),
      request({ promotionId }),
    );
    const limit = "promotions.customer_limit";
    assert.deepEqual(results.map(code), ["ok", limit, "ok", limit]);
    assert.deepEqual((await redeem(request({ promotionId }, ben))).map(code), [limit]);
  });

  it("takes all uses of an order or none", async () => {
    const { tenantId, make, redeem, ctx, code } = setup();
    const open = await make();
    const full = await make({ usageLimit: 1 });
    const both = () => ({
      origin: ctx,
      orderId: newId<"order">(),
      customerId: null,
      uses: [open, full].map(({ id }) => ({ promotionId: id, couponId: null })),
    });
    assert.deepEqual((await redeem(both(), both())).map(code), ["ok", "promotions.used_up"]);
    assert.equal((await promotions.find(tenantId, open.id))?.usedCount, 1);
  });

  it("refuses what was disabled or never was", async () => {
    const { ctx, make, coupon, redeem, request, code } = setup();
    const promotion = await make();
    const other = await coupon((await make()).id, "OTHER");
    const results = await redeem(
      request({ promotionId: newId<"promotion">() }),
      request({ promotionId: promotion.id, couponId: other.id }),
    );
    assert.deepEqual(results.map(code), Array(2).fill("promotions.no_longer_valid"));
    await promotions.update(ctx, { id: promotion.id }, { status: "disabled" });
    const late = await redeem(request({ promotionId: promotion.id }));
    assert.deepEqual(late.map(code), ["promotions.no_longer_valid"]);
  });

  it("never exceeds a limit when many transactions race over several promotions", async () => {
    const { tenantId, make, coupon, redeem, ctx, release } = setup();
    // 20 requests want each one alone: whatever the order, both limits are reached exactly.
    const first = await make({ usageLimit: 20 });
    const second = await make();
    const { id: couponId } = await coupon(second.id, "RACE", 15);
    const uses = [
      { promotionId: first.id, couponId: null },
      { promotionId: second.id, couponId },
    ];
    const batches = await Promise.all(
      Array.from({ length: 30 }, (_, index) => {
        const request = (own: typeof uses) => ({
          origin: ctx,
          orderId: newId<"order">(),
          customerId: null,
          uses: own,
        });
        const some = index % 3 === 0 ? uses : uses.slice(index % 2, (index % 2) + 1);
        return redeem(request(some), request(some.toReversed()));
      }),
    );
    assert.ok(batches.flat().some((result) => !result.ok));
    const [counts] = await database.query<{ p: number; c: number; pr: number; cr: number }>(
      `select (select used_count from shared.promotions where id = $1) as p,
         (select used_count from shared.coupons where id = $2) as c,
         (select count(*)::int from shared.promotion_redemptions
           where promotion_id = $1 and released_at is null) as pr,
         (select count(*)::int from shared.promotion_redemptions
           where coupon_id = $2 and released_at is null) as cr`,
      [first.id, couponId],
    );
    assert.deepEqual(counts, { p: 20, c: 15, pr: 20, cr: 15 });
    const broken = () =>
      db.read(tenantId, async (tx) => {
        const found: object[] = [];
        for (const { sql: text } of promotionInvariants) {
          found.push(...(await tx.rows<object>({ name: "", text, values: [] })));
        }
        return found;
      });
    assert.deepEqual(await broken(), []);
    const orders = await database.query<{ order_id: string }>(
      "select distinct order_id from shared.promotion_redemptions where tenant_id = $1",
      [tenantId],
    );
    await Promise.all(orders.map(({ order_id }) => release(order_id)));
    assert.equal((await promotions.find(tenantId, first.id))?.usedCount, 0);
    assert.equal((await promotions.findCoupon(tenantId, couponId))?.usedCount, 0);
    assert.deepEqual(await broken(), []);
    await database.query("update shared.promotions set used_count = 1 where id = $1", [first.id]);
    assert.equal((await broken()).length, 1);
  });

  it("records an event for each change", async () => {
    const { tenantId, make, redeem, request, release } = setup();
    const promotion = await make({ trigger: "automatic" });
    const asked = request({ promotionId: promotion.id });
    await redeem(asked);
    await release(asked.orderId);
    const rows = await database.query<{ type: string }>(
      "select type from platform.events where tenant_id = $1 order by id",
      [tenantId],
    );
    assert.deepEqual(
      rows.map(({ type }) => type),
      ["promotions.promotion_created", "promotions.redeemed", "promotions.released"],
    );
  });
});
