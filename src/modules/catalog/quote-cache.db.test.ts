import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { createDb } from "../../platform/db/db.ts";
import { createTestDatabase } from "../../testing/database.ts";
import type { VariantQuote } from "./contract.ts";
import { createCatalog, createQuoteCache } from "./index.ts";

describe("cached quotes on PostgreSQL", async () => {
  const database = await createTestDatabase();
  const seen: string[] = [];
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
    onStatement: ({ name }) => seen.push(name),
  });
  after(async () => {
    await db.stop();
    await database.drop();
  });
  const catalog = createCatalog({ db });

  const setup = async () => {
    const ctx = systemContext(newId<"tenant">(), "test");
    const [made] = await catalog.upsertProducts(ctx, [
      {
        handle: "p",
        title: "P",
        variants: ["A", "B"].map((sku) => ({
          sku,
          prices: [{ currency: "EUR", amountMinor: 100 }],
        })),
      },
    ]);
    assert.ok(made?.ok);
    const [a = "", b = ""] = made.value.product.variants.map(({ id }) => id);
    const price = (amountMinor: number) =>
      catalog.update(
        ctx,
        { id: made.value.product.id },
        {
          variants: [{ sku: "A", prices: [{ currency: "EUR", amountMinor }] }],
        },
      );
    return { ctx, tenantId: ctx.tenantId, a, b, price };
  };
  const loads = () => seen.filter((name) => name === "catalog.quote_variants").length;
  const amounts = (quotes: readonly VariantQuote[]) =>
    quotes.map(({ tiers }) => tiers[0]?.amountMinor);

  it("asks for quotes once, for what is missing only, and again after any catalog write", async () => {
    const { tenantId, a, b, price } = await setup();
    const cached = createQuoteCache({ quotesMax: 100 });
    const quote = (...ids: string[]) => db.read(tenantId, (tx) => cached(tx, ids, "EUR"));
    const before = loads();
    assert.deepEqual(amounts(await quote(a)), [100]);
    assert.deepEqual(amounts(await quote(a, a)), [100]);
    assert.deepEqual(amounts(await quote(a, b)), [100, 100]);
    assert.equal(loads() - before, 2);
    const nothing = newId<"variant">();
    assert.deepEqual(await quote(nothing), []);
    assert.deepEqual(await quote(nothing), []);
    assert.equal(loads() - before, 3);
    await price(200);
    assert.deepEqual(amounts(await quote(a, b)), [200, 100]);
    assert.equal(loads() - before, 4);
    const yen = await db.read(tenantId, (tx) => cached(tx, [a], "JPY"));
    assert.deepEqual(amounts(yen), [undefined]);
  });

  it("never gives one tenant another's quotes", async () => {
    const mine = await setup();
    const theirs = await setup();
    const cached = createQuoteCache({ quotesMax: 100 });
    await db.read(mine.tenantId, (tx) => cached(tx, [mine.a], "EUR"));
    assert.deepEqual(await db.read(theirs.tenantId, (tx) => cached(tx, [mine.a], "EUR")), []);
  });

  it("keeps no more than it may", async () => {
    const shops = [await setup(), await setup(), await setup()];
    const cached = createQuoteCache({ quotesMax: 4 });
    const ask = ({ tenantId, a, b }: (typeof shops)[number]) =>
      db.read(tenantId, (tx) => cached(tx, [a, b], "EUR"));
    const before = loads();
    for (const shop of shops) await ask(shop);
    for (const shop of shops.toReversed()) await ask(shop);
    assert.equal(loads() - before, 4, "the shop unused for longest is asked for again");
  });

  it("never gives a price older than what the transaction can see, whoever writes", async () => {
    const { tenantId, a, price } = await setup();
    const cached = createQuoteCache({ quotesMax: 100 });
    let committed = 100;
    const writer = async () => {
      for (let amount = 101; amount <= 130; amount++) {
        await price(amount);
        committed = amount;
      }
    };
    const reader = async () => {
      while (committed < 130) {
        const least = committed;
        const [amount] = amounts(await db.read(tenantId, (tx) => cached(tx, [a], "EUR")));
        assert.ok((amount ?? 0) >= least, `${amount} after ${least} was committed`);
      }
    };
    await Promise.all([writer(), reader(), reader(), reader()]);
  });
});
