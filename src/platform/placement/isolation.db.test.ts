import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import { migrationLines } from "../../migration-lines.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { createDb, type Db, type TenantTx } from "../db/db.ts";
import { sql } from "../db/sql.ts";
import {
  assignPlacement,
  createPlacements,
  type IsolationStyle,
  type Placements,
} from "./placements.ts";
import { asOwner, placeOf, provision, refuseUnconfinedRoles, unprovision } from "./provision.ts";

const lines = [
  ...migrationLines.filter(({ name }) => /^platform\/(db|placement|idempotency)$/.test(name)),
  {
    name: "testing/notes",
    scope: "tenant" as const,
    folder: new URL("./testdata/notes", import.meta.url).pathname,
  },
];

interface Shop {
  readonly name: string;
  readonly id: TenantId;
  readonly style: IsolationStyle;
}

const shops: readonly Shop[] = [
  { name: "pool-one", style: "pool", id: newId<"tenant">() },
  { name: "pool-two", style: "pool", id: newId<"tenant">() },
  { name: "bridge-one", style: "bridge", id: newId<"tenant">() },
  { name: "bridge-two", style: "bridge", id: newId<"tenant">() },
  { name: "silo-one", style: "silo", id: newId<"tenant">() },
];

let database: TestDatabase;
let placements: Placements;
let db: Db;

before(async () => {
  database = await createTestDatabase({ lines });
  placements = createPlacements({ homeUrl: database.ownerUrl });
  db = createDb({ urlsOf: placements.urlsOf, placementOf: placements.placementOf });
  for (const { id, name, style } of shops) {
    const place = { style, ...placeOf(id, { style, cluster: "home", slug: name }) };
    await provision({ placements, lines }, place);
    await db.platform("home", async (tx) =>
      assignPlacement(tx, { tenantId: id, ...place, state: "active" }),
    );
  }
  for (const shop of shops) {
    const written = await db.transact(shop.id, async (tx) => {
      for (let n = 0; n < 3; n++) addNote(tx, shop.id, `canary of ${shop.name}`);
      return ok(undefined);
    });
    assert.ok(written.ok);
  }
});

after(async () => {
  await db.stop();
  for (const shop of shops) {
    const place = await placements.find(shop.id);
    if (place) await unprovision(placements, place);
  }
  await placements.stop();
  await database.drop();
});

function addNote(tx: TenantTx, tenantId: TenantId, text: string): void {
  tx.write(sql("test.add_note")`
    insert into notes (tenant_id, id, text) values (${tenantId}, ${newId()}, ${text})`);
}

const allNotes = () => sql("test.all_notes")`select tenant_id, text from notes`;

describe("pool, bridge and silo tenants, served by the same code at once", () => {
  test("live where their style says", async () => {
    const places = await Promise.all(shops.map(({ id }) => placements.placementOf(id)));
    assert.deepEqual(
      places.map(({ database: name, schema }) => `${name.replace(/_.*/, "")}:${schema}`),
      ["home:shared", "home:shared", "home:t_bridge_one", "home:t_bridge_two", "home/silo:shared"],
    );
  });

  for (const shop of shops) {
    test(`${shop.name} sees its own rows in a query without WHERE, and no other's`, async () => {
      const rows = await db.read(shop.id, (tx) => tx.rows<{ text: string }>(allNotes()));
      assert.deepEqual(
        rows.map((row) => row.text),
        Array.from({ length: 3 }, () => `canary of ${shop.name}`),
      );
    });

    test(`${shop.name} cannot update, delete or take over rows of another`, async () => {
      const [other] = shops.filter(({ id }) => id !== shop.id);
      const changed = await db.commit(shop.id, async (tx) => [
        await tx.run(sql("test.grab")`update notes set text = text where tenant_id = ${other?.id}`),
        await tx.run(sql("test.wipe")`delete from notes where tenant_id = ${other?.id}`),
      ]);
      assert.deepEqual(changed, [0, 0]);
    });

    test(`${shop.name} is refused when it writes for another tenant`, async () => {
      const [other] = shops.filter(({ id }) => id !== shop.id);
      const written = db.transact(shop.id, async (tx) => {
        addNote(tx, other?.id ?? shop.id, "smuggled");
        return ok(undefined);
      });
      await assert.rejects(written, { code: "ERR_DB_REFUSED", sqlState: "42501" });
    });
  }

  test("a transaction of the application role without a tenant sees nothing and writes nothing", async () => {
    for (const name of await placements.databases()) {
      const rows = await db.worker(name, (tx) => tx.rows(allNotes()));
      assert.deepEqual(rows, []);
      const wiped = await db.worker(name, (tx) => tx.run(sql("test.wipe_all")`delete from notes`));
      assert.equal(wiped, 0);
    }
  });

  test("the platform role may not read a business table at all", async () => {
    const peek = db.platform("home", (tx) => tx.rows(sql("test.peek")`select * from shared.notes`));
    await assert.rejects(peek, { sqlState: "42501" });
  });

  test("the application role may not read the directory", async () => {
    const [shop] = shops;
    const peek = db.read(shop?.id as TenantId, (tx) =>
      tx.rows(sql("test.directory")`select * from control.placements`),
    );
    await assert.rejects(peek, { sqlState: "42501" });
  });

  test("a worker visits several tenants of a database in one transaction, each in its own rows", async () => {
    const visited = shops.filter(({ style }) => style !== "silo");
    const counts = await db.worker("home", async (tx) => {
      const seen: string[][] = [];
      for (const { id } of visited) {
        const tenant = await tx.enter(id);
        const rows = await tenant.rows<{ text: string }>(
          sql("test.worker_notes")`select text from notes`,
        );
        seen.push([...new Set(rows.map((row) => row.text))]);
      }
      return seen;
    });
    assert.deepEqual(
      counts,
      visited.map(({ name }) => [`canary of ${name}`]),
    );
  });

  test("concurrent work of all of them on shared pools never mixes", async () => {
    const work = Array.from({ length: 200 }, (_, n) => shops[n % shops.length] as Shop);
    const seen = await Promise.all(
      work.map(({ id }) =>
        db.read(id, (tx) => tx.rows<{ tenant_id: string }>(allNotes()), { name: "mix" }),
      ),
    );
    for (const [n, rows] of seen.entries()) {
      assert.ok(rows.every((row) => row.tenant_id === work[n]?.id));
    }
  });
});

describe("the directory", () => {
  test("forgets a cached placement when it is poked", async () => {
    const [shop] = shops;
    const id = shop?.id as TenantId;
    await placements.placementOf(id);
    await database.query("update control.placements set state = 'erasing' where tenant_id = $1", [
      id,
    ]);
    assert.equal((await placements.placementOf(id)).schema, "shared");
    placements.poke(id);
    await assert.rejects(placements.placementOf(id), { code: "ERR_PLACEMENT_NOT_SERVED" });
    await database.query("update control.placements set state = 'active' where tenant_id = $1", [
      id,
    ]);
    placements.poke(id);
    assert.equal((await placements.placementOf(id)).schema, "shared");
  });

  test("does not know a stranger", async () => {
    await assert.rejects(placements.placementOf(newId<"tenant">()), {
      code: "ERR_PLACEMENT_UNKNOWN",
    });
    assert.throws(() => placements.urlsOf("mars"), { code: "ERR_DATABASE_UNKNOWN" });
  });

  test("lists every database and schema to migrate, home first", async () => {
    const targets = await placements.targets();
    assert.equal(targets[0]?.database, "home");
    assert.deepEqual(targets[0]?.schemas, ["shared", "t_bridge_one", "t_bridge_two"]);
    assert.equal(targets.length, 2);
    assert.equal(targets[1]?.home, false);
  });
});

describe("start-up", () => {
  test("accepts working roles that row-level security binds", () =>
    refuseUnconfinedRoles(placements));

  test("refuses a superuser as application role", async () => {
    const careless = createPlacements({
      homeUrl: database.ownerUrl,
      homeAppUrl: database.ownerUrl,
    });
    await assert.rejects(
      refuseUnconfinedRoles(careless),
      /superuser or bypasses row-level security/,
    );
    await careless.stop();
  });

  test("refuses a role that bypasses row-level security", async () => {
    const role = `bypass_${database.name.slice(-8)}`;
    const url = new URL(database.ownerUrl);
    await database.query(`create role ${role} login bypassrls password 'test'`);
    url.username = role;
    url.password = "test";
    const careless = createPlacements({ homeUrl: database.ownerUrl, homeAppUrl: url.href });
    await assert.rejects(refuseUnconfinedRoles(careless), /bypasses row-level security/);
    await careless.stop();
    await asOwner(database.ownerUrl, (client) => client.query(`drop role ${role}`));
  });
});
