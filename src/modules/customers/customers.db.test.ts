import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { systemContext } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { createDb } from "../../platform/db/db.ts";
import { createTestDatabase } from "../../testing/database.ts";
import { addressesPerCustomerMax, type NewAddress } from "./contract.ts";
import { createCustomers } from "./index.ts";

describe("customers on PostgreSQL", async () => {
  const database = await createTestDatabase();
  const db = createDb({
    urlsOf: () => database.urls,
    placementOf: async () => ({ database: "home", schema: "shared" }),
  });
  after(async () => {
    await db.stop();
    await database.drop();
  });
  const customers = createCustomers({ db, clock: () => new Date("2026-01-01T00:00:00Z") });

  const setup = () => {
    const ctx = systemContext(newId<"tenant">(), "test");
    const { tenantId } = ctx;
    const guests = (...emails: string[]) =>
      db.commit(tenantId, (tx) =>
        customers.upsertGuests(
          tx,
          ctx,
          emails.map((email) => ({ email })),
        ),
      );
    const events = () =>
      database.query<{ type: string; data: object }>(
        "select type, data from platform.events where tenant_id = $1 order by id",
        [tenantId],
      );
    const make = async (email: string) => {
      const made = await customers.create(ctx, { email });
      assert.ok(made.ok);
      return made.value;
    };
    return { ctx, tenantId, guests, events, make };
  };
  const address: NewAddress = {
    name: "Anna Example",
    line1: "Street 1",
    city: "Vienna",
    postalCode: "1010",
    countryCode: "AT",
  };

  it("folds the email and refuses a second customer with it", async () => {
    const { ctx, tenantId } = setup();
    const made = await customers.create(ctx, { email: " Anna@Example.COM ", name: "Anna" });
    assert.ok(made.ok);
    assert.equal(made.value.email, "anna@example.com");
    assert.deepEqual(await customers.create(ctx, { email: "ANNA@example.com" }), {
      ok: false,
      failure: { code: "customers.email_taken", email: "anna@example.com" },
    });
    const profile = await customers.find(tenantId, made.value.id);
    assert.deepEqual(profile, { customer: made.value, addresses: [], consents: [] });
  });

  it("makes one customer when a create with the caller's id is retried", async () => {
    const { ctx, events } = setup();
    const command = { id: newId<"customer">(), email: "a@b.c" };
    const once = await customers.create(ctx, command);
    const twice = await customers.create(ctx, command);
    assert.deepEqual(twice, once);
    assert.equal((await events()).length, 1);
    const other = await customers.create(ctx, { ...command, email: "x@y.z" });
    assert.deepEqual(other, {
      ok: false,
      failure: { code: "customers.id_taken", id: command.id },
    });
  });

  it("makes one guest per email, however often and however many at once", async () => {
    const { guests, events } = setup();
    const [first, second, third] = await guests("a@b.c", "d@e.f", "A@B.C");
    assert.equal(first, third);
    assert.notEqual(first, second);
    const races = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        index % 2 ? guests("n1@x.y", "n2@x.y", "a@b.c") : guests("n2@x.y", "n1@x.y"),
      ),
    );
    assert.equal(new Set(races.flat()).size, 3);
    assert.equal((await events()).length, 4);
  });

  it("makes a guest a customer, who keeps the id", async () => {
    const { ctx, guests, tenantId } = setup();
    const [id] = await guests("a@b.c");
    const made = await customers.create(ctx, { email: "a@b.c", name: "Anna" });
    assert.ok(made.ok && id);
    assert.equal(made.value.id, id);
    assert.equal(made.value.isGuest, false);
    const listed = await customers.list(tenantId, { limit: 5 });
    assert.deepEqual(listed, [made.value]);
  });

  it("changes a profile, and refuses a stale version and another's email", async () => {
    const { ctx, make } = setup();
    const anna = await make("anna@x.y");
    await make("ben@x.y");
    const patch = { email: "Anna2@x.y", locale: "de-AT", metadata: { vip: "yes" } };
    const changed = await customers.update(ctx, anna.id, { patch, expectedVersion: 1 });
    assert.ok(changed.ok);
    assert.equal(changed.value.email, "anna2@x.y");
    assert.equal(changed.value.version, 2);
    const stale = await customers.update(ctx, anna.id, { patch: {}, expectedVersion: 1 });
    assert.deepEqual(stale, { ok: false, failure: { code: "customers.stale", version: 2 } });
    const taken = await customers.update(ctx, anna.id, { patch: { email: "BEN@x.y" } });
    assert.ok(!taken.ok && taken.failure.code === "customers.email_taken");
  });

  it("lets one of two win who change to the same email at once", async () => {
    const { ctx, make } = setup();
    for (let round = 0; round < 5; round++) {
      const both = [await make(`a${round}@x.y`), await make(`b${round}@x.y`)];
      const patch = { email: `same${round}@x.y` };
      const results = await Promise.all(both.map(({ id }) => customers.update(ctx, id, { patch })));
      assert.deepEqual(results.map(({ ok }) => ok).sort(), [false, true]);
    }
  });

  it("finds customers by the beginning of the email", async () => {
    const { make, tenantId } = setup();
    for (const email of ["ann@x.y", "anna@x.y", "ben@x.y", "än@x.y"]) await make(email);
    const found = await customers.list(tenantId, { emailPrefix: "ANN", limit: 10 });
    assert.deepEqual(found.map(({ email }) => email).sort(), ["ann@x.y", "anna@x.y"]);
    const guests = await customers.list(tenantId, { isGuest: true, limit: 10 });
    assert.deepEqual(guests, []);
  });

  it("keeps a book of addresses with one default each", async () => {
    const { ctx, make, tenantId } = setup();
    const { id } = await make("a@b.c");
    const first = await customers.saveAddress(ctx, id, { ...address, isDefaultShipping: true });
    const second = await customers.saveAddress(ctx, id, { ...address, isDefaultShipping: true });
    assert.ok(first.ok && second.ok);
    const book = (await customers.find(tenantId, id))?.addresses ?? [];
    assert.deepEqual(
      book.map((each) => [each.id, each.isDefaultShipping]),
      [
        [first.value.id, false],
        [second.value.id, true],
      ],
    );
    assert.ok((await customers.deleteAddress(ctx, id, first.value.id)).ok);
    const gone = await customers.deleteAddress(ctx, id, first.value.id);
    assert.ok(!gone.ok && gone.failure.code === "customers.address_not_found");
  });

  it("refuses countries that are none, another's address and a book without end", async () => {
    const { ctx, make } = setup();
    const { id } = await make("a@b.c");
    const nowhere = await customers.saveAddress(ctx, id, { ...address, countryCode: "XX" });
    assert.ok(!nowhere.ok && nowhere.failure.code === "customers.invalid");
    const mine = await customers.saveAddress(ctx, id, address);
    assert.ok(mine.ok);
    const { id: other } = await make("d@e.f");
    const stolen = await customers.saveAddress(ctx, other, { ...address, id: mine.value.id });
    assert.ok(!stolen.ok && stolen.failure.code === "customers.id_taken");
    for (let count = 1; count < addressesPerCustomerMax; count++) {
      assert.ok((await customers.saveAddress(ctx, id, address)).ok);
    }
    const full = await customers.saveAddress(ctx, id, address);
    assert.ok(!full.ok && full.failure.code === "customers.too_many_addresses");
  });

  it("keeps every consent and lets the newest of a purpose hold", async () => {
    const { ctx, make, tenantId } = setup();
    const { id } = await make("a@b.c");
    const say = (state: "granted" | "withdrawn", at: string) => ({
      id: newId<"consent">(),
      purpose: "marketing.email",
      state,
      source: "checkout",
      at: new Date(at),
    });
    const granted = say("granted", "2026-01-02");
    await customers.recordConsents(ctx, id, [granted, say("withdrawn", "2026-01-01")]);
    await customers.recordConsents(ctx, id, [granted]);
    const held = (await customers.find(tenantId, id))?.consents;
    assert.deepEqual(
      held?.map(({ state }) => state),
      ["granted"],
    );
    assert.equal((await customers.listConsents(tenantId, id)).length, 2);
  });

  it("tells events nothing personal", async () => {
    const { ctx, events, guests } = setup();
    await guests("secret-guest@x.y");
    const made = await customers.create(ctx, { email: "secret@x.y", name: "Secret Name" });
    assert.ok(made.ok);
    await customers.saveAddress(ctx, made.value.id, { ...address, line1: "Secret Street" });
    assert.doesNotMatch(JSON.stringify(await events()), /secret/i);
    assert.equal((await events()).length, 3);
  });

  it("shows one tenant nothing of another", async () => {
    const { make, ctx } = setup();
    const other = setup();
    const { id } = await make("a@b.c");
    assert.equal(await customers.find(other.tenantId, id), undefined);
    const patched = await customers.update(other.ctx, id, { patch: { name: "x" } });
    assert.ok(!patched.ok && patched.failure.code === "customers.not_found");
    assert.notEqual((await other.guests("a@b.c"))[0], id);
    assert.notEqual(ctx.tenantId, other.tenantId);
  });
});
