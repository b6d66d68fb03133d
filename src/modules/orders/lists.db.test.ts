import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import pg from "pg";
import { newId, newIdAt, type TenantId } from "../../kernel/ids.ts";
import { pageBody } from "./bodies.ts";
import type { NewOrder } from "./contract.ts";
import type { ListOrders } from "./index.ts";
import {
  freshCaller,
  type OrdersFixture,
  place,
  someOrder,
  startOrders,
} from "./orders.fixture.ts";
import { seededCustomer, seedOrders } from "./seed.fixture.ts";

describe("lists of orders", async () => {
  const fixture = await startOrders();
  const { orders } = fixture;
  after(() => fixture.stop());

  const setup = async (count: number, make: (index: number) => Partial<NewOrder> = () => ({})) => {
    const ctx = freshCaller();
    const start = Date.now() - count * 1_000;
    const wanted = Array.from({ length: count }, (_, index) => {
      const placedAt = new Date(start + index * 1_000);
      return someOrder({ placedAt, number: 1_001 + index, ...make(index) });
    });
    await place(fixture, ctx, wanted);
    const walk = async (query: Partial<ListOrders> = {}) => {
      const pages: number[][] = [];
      let cursor: string | undefined;
      do {
        const page = await orders.list(ctx, { filter: {}, limit: 7, ...query, cursor });
        assert(page.ok);
        pages.push(page.value.items.map((order) => order.number));
        cursor = page.value.nextCursor;
      } while (cursor);
      return pages;
    };
    return { ctx, wanted, walk };
  };

  it("walk through every order once, newest first, by cursor", async () => {
    const { walk } = await setup(21);
    const pages = await walk();
    assert.deepEqual(
      pages.map((page) => page.length),
      [7, 7, 7],
    );
    assert.deepEqual(
      pages.flat(),
      Array.from({ length: 21 }, (_, index) => 1_021 - index),
    );
    assert.deepEqual(await walk({ limit: 100 }), [pages.flat()]);
  });

  it("do not repeat or skip when orders arrive between two pages", async () => {
    const { ctx, walk } = await setup(10);
    const first = await orders.list(ctx, { filter: {}, limit: 5 });
    assert(first.ok);
    await place(fixture, ctx, [someOrder({ number: 5_000 })]);
    const second = await orders.list(ctx, {
      filter: {},
      limit: 5,
      cursor: first.value.nextCursor,
    });
    assert(second.ok);
    assert.deepEqual(
      second.value.items.map((order) => order.number),
      [1_005, 1_004, 1_003, 1_002, 1_001],
    );
    assert.equal((await walk())[0]?.[0], 5_000);
  });

  it("reach over months without an order", async () => {
    const { walk } = await setup(6, (index) => {
      const placedAt = new Date(Date.UTC(2020 + index, 5, 1));
      return { placedAt, id: newIdAt<"order">(placedAt) };
    });
    assert.deepEqual(await walk({ limit: 2 }), [
      [1_006, 1_005],
      [1_004, 1_003],
      [1_002, 1_001],
    ]);
  });

  it("are narrowed by status, customer, number, address, reference and time", async () => {
    const customerId = newId<"customer">();
    const { ctx, wanted, walk } = await setup(12, (index) => ({
      status: index % 2 ? "paid" : "pending",
      customerId: index % 3 ? newId() : customerId,
      email: `buyer${index % 4}@example.com`,
      externalReference: `R${index}`,
    }));
    const found = async (filter: ListOrders["filter"]) => (await walk({ filter })).flat();
    assert.deepEqual(await found({ status: "paid" }), [1_012, 1_010, 1_008, 1_006, 1_004, 1_002]);
    assert.deepEqual(await found({ customerId }), [1_010, 1_007, 1_004, 1_001]);
    assert.deepEqual(await found({ customerId, status: "paid" }), [1_010, 1_004]);
    assert.deepEqual(await found({ number: 1_005 }), [1_005]);
    assert.deepEqual(await found({ email: "BUYER1@example.com" }), [1_010, 1_006, 1_002]);
    assert.deepEqual(await found({ externalReference: "R3" }), [1_004]);
    const placedFrom = wanted[3]?.placedAt as Date;
    const placedBefore = wanted[6]?.placedAt as Date;
    assert.deepEqual(await found({ placedFrom, placedBefore }), [1_006, 1_005, 1_004]);
    const stranger = await orders.list(freshCaller(), { filter: { customerId }, limit: 5 });
    assert(stranger.ok && stranger.value.items.length === 0);
    assert.equal(ctx.tenantId.length, 36);
  });

  it("have pages by number and totals where asked", async () => {
    const { ctx } = await setup(9, (index) => ({ status: index < 6 ? "pending" : "paid" }));
    const page = await orders.list(ctx, { filter: {}, limit: 4, page: 2, withTotal: true });
    assert(page.ok);
    assert.deepEqual(
      page.value.items.map((order) => order.number),
      [1_005, 1_004, 1_003, 1_002],
    );
    assert.deepEqual([page.value.page, page.value.total], [2, 9]);
    const filter = { status: "paid" as const };
    const last = await orders.list(ctx, { filter, limit: 4, page: 3, withTotal: true });
    assert(last.ok && last.value.items.length === 0 && last.value.total === 3);
  });

  it("bring the lines of a whole page in one more statement", async () => {
    const { ctx } = await setup(30);
    fixture.statements.length = 0;
    const page = await orders.list(ctx, { filter: {}, limit: 20, withLines: true });
    assert(page.ok);
    assert(page.value.items.every((order) => order.lines?.length === 2));
    assert.deepEqual(selects(fixture), ["orders.list", "orders.list_lines"]);
  });

  it("say the same as JSON text of the database", async () => {
    const { ctx } = await setup(5, (index) => ({
      email: index ? 'odd"quote\\ and\nline é 🙂@example.com' : null,
      customerId: index % 2 ? newId() : null,
    }));
    const queries = [
      { filter: {}, limit: 3 },
      { filter: {}, limit: 10 },
      { filter: {}, limit: 2, page: 2, withTotal: true },
      { filter: { status: "refunded" as const }, limit: 3 },
    ];
    for (const query of queries) {
      const page = await orders.list(ctx, query);
      const text = await orders.listAsJson(ctx, query);
      assert(page.ok && text.ok);
      const told = JSON.parse(text.value, (key, value) =>
        /^(placed|updated)At$/.test(key) ? new Date(value).toISOString() : value,
      );
      assert.deepEqual(told, pageBody(page.value));
    }
  });

  it("refuse the cursor of another tenant, another filter, or a made-up one", async () => {
    const { ctx } = await setup(5);
    const page = await orders.list(ctx, { filter: {}, limit: 2 });
    const cursor = page.ok ? page.value.nextCursor : undefined;
    assert(cursor);
    const stranger = await orders.list(freshCaller(), { filter: {}, limit: 2, cursor });
    const filtered = await orders.list(ctx, { filter: { status: "paid" }, limit: 2, cursor });
    const madeUp = await orders.list(ctx, { filter: {}, limit: 2, cursor: `${cursor}x` });
    for (const refused of [stranger, filtered, madeUp]) {
      assert(!refused.ok && refused.failure.code === "request.bad_cursor");
    }
  });

  it("share transactions when many are asked for at once, each with its own answer", async () => {
    const { ctx, wanted } = await setup(20);
    fixture.statements.length = 0;
    const answers = await Promise.all(
      wanted.map(({ number }) => orders.list(ctx, { filter: { number }, limit: 5 })),
    );
    assert.deepEqual(
      answers.map((answer) => answer.ok && answer.value.items[0]?.number),
      wanted.map(({ number }) => number),
    );
    const begun = fixture.statements.filter(({ name }) => name === "db.begin_read").length;
    assert(begun < 10, `${begun} transactions for 20 lists`);
  });

  it("ask once for what many want at once, and show each later caller what came before it", async () => {
    const { ctx } = await setup(6);
    const list = () => orders.list(ctx, { filter: {}, limit: 5 });
    const countOf = (page: Awaited<ReturnType<typeof list>>) => page.ok && page.value.items.length;
    fixture.statements.length = 0;
    const counts = (await Promise.all(Array.from({ length: 100 }, list))).map(countOf);
    assert.deepEqual(new Set(counts), new Set([5]));
    assert.deepEqual(selects(fixture), ["orders.list"]);
    let placed = 6;
    const reader = async () => {
      while (placed < 26) {
        const least = placed;
        const count = Number(countOf(await orders.list(ctx, { filter: {}, limit: 100 })));
        assert(count >= least, `${count} orders after ${least} were placed`);
      }
    };
    const writer = async () => {
      for (; placed < 26; placed++) {
        await place(fixture, ctx, [someOrder({ number: 2_000 + placed })]);
      }
    };
    await Promise.all([writer(), ...Array.from({ length: 8 }, reader)]);
  });
});

function selects(fixture: OrdersFixture): string[] {
  return fixture.statements
    .map(({ name }) => name.replace(/:.*/, ""))
    .filter((name) => name.startsWith("orders.") && name !== "orders.steer_to_indexes");
}

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows"?: number;
  readonly "Actual Loops"?: number;
  readonly "Subplans Removed"?: number;
  readonly Plans?: readonly PlanNode[];
}

describe("plans of hot queries", async () => {
  const fixture = await startOrders();
  const { orders, database } = fixture;
  const tenantId = newId<"tenant">() as TenantId;
  const ctx = freshCaller(tenantId);
  const owner = new pg.Client({ connectionString: database.ownerUrl });
  await owner.connect();
  const size = { orders: 20_000, months: 6, customers: 500, withLines: true };
  await seedOrders(owner, { tenantId, ...size });
  for (let other = 0; other < 5; other++) {
    await seedOrders(owner, { ...size, tenantId: newId(), orders: 2_000 });
  }
  await owner.query(
    `update shared.orders set customer_id = $2 where tenant_id = $1 and number > 15000`,
    [tenantId, seededCustomer(7)],
  );
  await owner.query("vacuum (analyze) shared.orders, shared.order_lines");
  await owner.end();
  const app = new pg.Client({
    connectionString: database.urls.app,
    options: "-c search_path=shared,platform",
  });
  await app.connect();
  after(async () => {
    await app.end();
    await fixture.stop();
  });
  const months = 6 + 3 + 1;

  /** The plan of the last statement of a name, as the connection pool runs it for the n-th time. */
  const planOf = async (name: string): Promise<readonly PlanNode[]> => {
    const report = fixture.statements.findLast((one) => one.name.startsWith(name));
    assert(report, `${name} was run`);
    await app.query("begin");
    await app.query("select set_config('app.tenant', $1, true)", [tenantId]);
    const steering = fixture.statements.find((one) => one.name === "orders.steer_to_indexes");
    if (steering) await app.query(steering.text);
    await app.query("set local plan_cache_mode = force_generic_plan");
    await app.query(`prepare looked_at as ${report.text}`);
    const literals = report.values.map((value) => app.escapeLiteral(textOf(value)));
    const { rows } = await app.query(
      `explain (analyze, timing off, format json) execute looked_at(${literals.join(",")})`,
    );
    await app.query("deallocate looked_at; rollback");
    return flatten(rows[0]["QUERY PLAN"][0].Plan);
  };

  const assertWalksIndexes = (nodes: readonly PlanNode[], rowsMax: number) => {
    for (const node of nodes) {
      const type = node["Node Type"];
      assert(!/^(Seq Scan|Sort|Incremental Sort|Bitmap)/.test(type), `${type} in a hot plan`);
      if (!/^Index/.test(type)) continue;
      const rows = (node["Actual Rows"] ?? 0) * (node["Actual Loops"] ?? 1);
      assert(rows <= rowsMax, `${rows} rows of ${node["Relation Name"]} for a page of 20`);
    }
  };
  /** Partitions that were really read. */
  const scanned = (nodes: readonly PlanNode[]) => {
    const scans = nodes.filter(
      (node) => /Scan/.test(node["Node Type"]) && (node["Actual Loops"] ?? 0) > 0,
    );
    return new Set(scans.flatMap((node) => node["Relation Name"] ?? [])).size;
  };

  const listed = async (query: Partial<ListOrders>) => {
    fixture.statements.length = 0;
    const page = await orders.list(ctx, { filter: {}, limit: 20, ...query });
    assert(page.ok);
    return page.value;
  };

  it("take one statement for a page of all orders, and look at two months", async () => {
    const first = await listed({});
    assert.equal(first.items.length, 20);
    assert.deepEqual(selects(fixture), ["orders.list"]);
    const plan = await planOf("orders.list");
    assertWalksIndexes(plan, 22);
    // This month, last month, three months ahead, and the default partition.
    assert(scanned(plan) <= 6, `${scanned(plan)} partitions scanned`);
  });

  it("cost the same on a deep page as on the first", async () => {
    let cursor: string | undefined;
    for (let page = 0; page < 100; page++) cursor = (await listed({ cursor })).nextCursor;
    await listed({ cursor });
    assert.deepEqual(selects(fixture), ["orders.list"]);
    const plan = await planOf("orders.list");
    assertWalksIndexes(plan, 22);
    assert(scanned(plan) <= 3, `${scanned(plan)} partitions scanned`);
  });

  it("stop early by status, in at most two statements", async () => {
    const page = await listed({ filter: { status: "confirmed" } });
    assert.equal(page.items.length, 20);
    assert(selects(fixture).length <= 2);
    assertWalksIndexes(await planOf("orders.list"), 22);
  });

  it("stop early by customer, also for one with thousands of orders", async () => {
    await listed({ filter: { customerId: seededCustomer(7) } });
    assert.deepEqual(selects(fixture), ["orders.list"]);
    const plan = await planOf("orders.list");
    assertWalksIndexes(plan, 22);
    assert.equal(scanned(plan), months);
  });

  it("find a number, an address and a reference by their own indexes", async () => {
    const filters: ListOrders["filter"][] = [
      { number: 77 },
      { email: "customer7@example.com" },
      { externalReference: "none" },
      { customerId: seededCustomer(7), status: "paid" },
    ];
    for (const filter of filters) {
      await listed({ filter });
      assertWalksIndexes(await planOf("orders.list"), 22);
    }
  });

  it("prune months by a range of time", async () => {
    const now = Date.now();
    const placedFrom = new Date(now - 20 * 86_400_000);
    await listed({ filter: { placedFrom, placedBefore: new Date(now - 19 * 86_400_000) } });
    const plan = await planOf("orders.list");
    // An hour of skew at the end of the range is walked over.
    assertWalksIndexes(plan, 60);
    assert(scanned(plan) <= 3, `${scanned(plan)} partitions scanned`);
  });

  it("find an order and its lines in one partition each", async () => {
    const [item] = (await listed({})).items;
    assert(item);
    fixture.statements.length = 0;
    assert((await orders.get(ctx, item.id)).ok);
    for (const name of ["orders.find", "orders.list_lines"]) {
      const plan = await planOf(name);
      assert.equal(scanned(plan), 1, name);
    }
  });

  it("lock and change orders in their own months only", async () => {
    const { items } = await listed({ filter: { status: "paid" } });
    fixture.statements.length = 0;
    const [newest] = items;
    assert(newest);
    const outcome = await orders.applyChanges(ctx, [{ orderId: newest.id, to: "fulfilled" }]);
    assert(outcome.ok && outcome.value.refused === 0);
    const lock = await planOf("orders.lock");
    assert.equal(scanned(lock), 1);
    const update = await planOf("orders.update_states");
    assert(scanned(update) <= 1, `${scanned(update)} partitions visited`);
  });
});

function flatten(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)];
}

function textOf(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return `{${value.map((item) => item ?? "NULL").join(",")}}`;
  return String(value);
}
