import { createCache, createDurableWrites } from "../src/platform/cache/cache.ts";
import { sql } from "../src/platform/db/sql.ts";
import { openPlayground, say } from "./playground.fixture.ts";

// A shop's product names behind a cache: a stampede that is one query, what does not exist, a reader who
// is never shown less than it wrote, an invalidation during a load, and writes that are applied later.
// From an installed package: import { createCache } from "brandos/cache".

await using playground = await openPlayground(`
  create table products (tenant_id uuid, id text, name text not null, primary key (tenant_id, id));
  create table versions_of_products (tenant_id uuid primary key, version bigint not null);
  select platform.protect_tenant_table('products');
  select platform.protect_tenant_table('versions_of_products');`);
const { db, tenantId } = playground;

interface Product {
  readonly id: string;
  readonly name: string;
}

/** Writes a product. @returns the version of the table it makes */
async function save({ id, name }: Product): Promise<number> {
  return db.commit(tenantId, async (tx) => {
    tx.write(sql("example.save_product")`
      insert into products (tenant_id, id, name) values (${tx.tenantId}, ${id}, ${name})
      on conflict (tenant_id, id) do update set name = excluded.name`);
    const { version } = await tx.one<{ version: number }>(sql("example.next_version")`
      insert into versions_of_products as v (tenant_id, version) values (${tx.tenantId}, 1)
      on conflict (tenant_id) do update set version = v.version + 1 returning version`);
    return version;
  });
}

let queries = 0;
const products = createCache<Product>({
  name: "products",
  ttlMs: 60_000,
  async load(tenant, ids) {
    queries++;
    return db.read(tenant, async (tx) => {
      // The version before the values: what is loaded may be newer than it says, never older.
      const { version } = await tx.one<{ version: number }>(sql("example.version")`
        select coalesce(max(version), 0)::bigint as version from versions_of_products
        where tenant_id = ${tx.tenantId}`);
      const rows = await tx.rows<Product>(sql("example.products")`
        select id, name from products
        where tenant_id = ${tx.tenantId} and id = any(${ids}::text[])`);
      const found = new Map(rows.map((row) => [row.id, row]));
      return { values: ids.map((id) => found.get(id)), asOf: version };
    });
  },
});

await save({ id: "p1", name: "Teapot" });
await Promise.all(Array.from({ length: 1_000 }, () => products.get(tenantId, "p1")));
say(`1,000 callers at once: ${queries} query`);

const held = products.get(tenantId, "p1");
say(`held in the process: ${held instanceof Promise ? "no" : held?.name}, without waiting`);

await products.get(tenantId, "p9");
await products.get(tenantId, "p9");
say(`what does not exist was looked for once: ${queries} queries so far`);

const written = await save({ id: "p1", name: "Large teapot" });
const stale = await products.get(tenantId, "p1");
const own = await products.get(tenantId, "p1", { notBefore: written });
say(`who knows of no change gets "${stale?.name}", who made it gets "${own?.name}"`);

const loading = products.get(tenantId, "p2");
await save({ id: "p2", name: "Cup" });
await products.invalidate(tenantId, { keys: ["p2"] });
await loading;
say(`loaded while it changed, and not kept: p2 is ${(await products.get(tenantId, "p2"))?.name}`);

const writes = createDurableWrites<number>({
  ...{ db, name: "views" },
  async sink(tx, batch) {
    for (const { key, value = 0 } of batch) {
      tx.write(sql("example.save_views")`
        insert into products (tenant_id, id, name)
        values (${tx.tenantId}, ${`views of ${key}`}, ${String(value)})
        on conflict (tenant_id, id) do update set name = excluded.name`);
    }
    say(`applied behind: ${batch.map(({ key, value }) => `${key} = ${value}`).join(", ")}`);
  },
});
const views = createCache<number>({
  ...{ name: "views", ttlMs: 60_000, write: writes.write },
  load: writes.overlay(async (_, keys) => keys.map(() => 0)),
});
for (let seen = 1; seen <= 100; seen++) await views.put(tenantId, "p1", seen);
say(`100 writes acknowledged, and durable; the cache says ${await views.get(tenantId, "p1")}`);
await writes.flush();

await Promise.all([products.stop(), views.stop(), writes.stop()]);
if (queries !== 5) throw new Error(`there were ${queries} queries`);
if (stale?.name !== "Teapot" || own?.name !== "Large teapot") throw new Error("not its own write");
