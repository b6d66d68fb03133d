import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Type } from "typebox";
import type { Context } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { ok } from "../../kernel/result.ts";
import { migrationLines } from "../../migration-lines.ts";
import { createDb, type Db } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import { createHealth } from "../../platform/http/health.ts";
import { createMetrics } from "../../platform/http/metrics.ts";
import { route } from "../../platform/http/route.ts";
import { createHttpServer, type HttpServer } from "../../platform/http/server.ts";
import { idempotencyFailureStatuses } from "../../platform/idempotency/contract.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { createPlacements, type Placements } from "../../platform/placement/placements.ts";
import { createTestDatabase, type TestDatabase } from "../../testing/database.ts";
import { fuzzApi } from "../../testing/openapi-fuzz.ts";
import { tenantsFailureStatuses } from "./contract.ts";
import { createTenants, type Tenants } from "./index.ts";
import { tenantsRoutes } from "./routes.ts";

const lines = [
  ...migrationLines.filter(({ name }) =>
    /^(platform\/(db|placement|idempotency)|modules\/tenants)$/.test(name),
  ),
  {
    name: "testing/notes",
    scope: "tenant" as const,
    folder: new URL("../../platform/placement/testdata/notes", import.meta.url).pathname,
  },
];
const operatorKey = "op_0123456789abcdefghijklmnopqrstuvwxyz";

let database: TestDatabase;
let placements: Placements;
let db: Db;
let tenants: Tenants;
let server: HttpServer;
let url: string;
const made: { id: TenantId; style: string }[] = [];

before(async () => {
  database = await createTestDatabase({ lines });
  placements = createPlacements({ homeUrl: database.ownerUrl });
  db = createDb({ urlsOf: placements.urlsOf, placementOf: placements.placementOf });
  tenants = createTenants({ db, placements, lines, operatorKey, settleMs: 0 });
  const health = createHealth([]);
  health.markStarted();
  server = await createHttpServer({
    routes: [...tenantsRoutes(tenants), ...noteRoutes()],
    authenticate: tenants.authenticate,
    failureStatuses: { ...tenantsFailureStatuses, ...idempotencyFailureStatuses },
    health,
    metrics: createMetrics(),
    info: { title: "Test", version: "1" },
  });
  ({ url } = await server.listen({ port: 0 }));
});
after(async () => {
  await server.close();
  for (const { id, style } of made) {
    if (style === "pool") continue;
    await tenants.suspend(operatorContext, id);
    await tenants.erase(operatorContext, id);
  }
  await db.stop();
  await placements.stop();
  await database.drop();
});

const operatorContext: Context = {
  tenantId: "00000000-0000-0000-0000-000000000000" as TenantId,
  actor: { kind: "operator", id: "operator" },
  requestId: "test",
};

function noteRoutes() {
  const uow = () => createUnitOfWork(db);
  return [
    route({
      method: "POST",
      path: "/v1/notes",
      operationId: "addNote",
      summary: "Add a note",
      tag: "Notes",
      access: "publishable",
      permission: "notes:write",
      idempotency: "required",
      schemas: { body: Type.Object({ text: Type.String() }), response: Type.Unknown() },
      handle: async ({ ctx, body }) => {
        const added = await uow().transact(
          ctx,
          async (tx) => {
            const id = newId();
            tx.write(sql("test.http_note")`
              insert into notes (tenant_id, id, text) values (${tx.tenantId}, ${id}, ${body.text})`);
            return ok({ id, text: body.text, at: new Date() });
          },
          { name: "notes.add" },
        );
        if (!added.ok) return added;
        const { at, ...rest } = added.value;
        return ok({ status: 201, body: { ...rest, at: at.toISOString() } });
      },
    }),
    route({
      method: "GET",
      path: "/v1/notes",
      operationId: "listNotes",
      summary: "List",
      tag: "Notes",
      access: "secret",
      permission: "notes:read",
      schemas: { response: Type.Unknown() },
      handle: async ({ ctx }) => {
        const rows = await db.read(ctx.tenantId, (tx) =>
          tx.rows<{ text: string }>(sql("test.http_notes")`select text from notes`),
        );
        return ok({ body: { items: rows.map((row) => row.text) } });
      },
    }),
  ];
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server sends
  readonly body: any;
}

async function ask(
  method: string,
  path: string,
  {
    key = operatorKey,
    body,
    headers = {},
  }: { key?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = /json(;|$)/.test(response.headers.get("content-type") ?? "") && text !== "";
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: json ? JSON.parse(text) : text,
  };
}

let serial = 0;

async function createTenant(style = "pool"): Promise<{ id: TenantId; slug: string }> {
  const id = newId<"tenant">();
  const slug = `brand-${++serial}`;
  const body = {
    id,
    slug,
    style,
    name: `Brand ${serial}`,
    currencies: ["EUR", "JPY"],
    defaultCurrency: "EUR",
    defaultLocale: "de-DE",
    pricesIncludeTax: true,
  };
  const created = await ask("POST", "/v1/tenants", { body });
  assert.equal(created.status, 201, created.text);
  made.push({ id, style });
  return { id, slug };
}

async function createKey(tenantId: TenantId, permissions = ["*"], kind = "secret") {
  const body = { id: newId(), kind, name: "test", permissions };
  const headers = { "brandos-tenant": tenantId };
  const issued = await ask("POST", "/v1/api-keys", { body, headers });
  assert.equal(issued.status, 201, issued.text);
  return issued.body as { id: string; key: string };
}

const addNote = (key: string, text: string, idempotencyKey: string = newId()) =>
  ask("POST", "/v1/notes", { key, body: { text }, headers: { "idempotency-key": idempotencyKey } });

describe("a tenant", () => {
  for (const style of ["pool", "bridge", "silo"]) {
    test(`of style ${style} is created, works, is exported and erased without a trace`, async () => {
      const { id, slug } = await createTenant(style);
      const canary = `canary-${style}-${newId()}`;
      const { key } = await createKey(id);
      assert.equal((await addNote(key, canary)).status, 201);
      assert.deepEqual((await ask("GET", "/v1/notes", { key })).body.items, [canary]);

      const exported = await ask("GET", `/v1/tenants/${id}/export`);
      const rows = exported.text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      assert.ok(rows.some((row) => row.row?.text === canary));
      assert.ok(rows.some((row) => row.table === "platform.idempotency_keys"));
      assert.equal(rows.at(-1).end, true);

      assert.equal((await ask("DELETE", `/v1/tenants/${id}`)).body.code, "tenants.wrong_status");
      assert.equal((await ask("POST", `/v1/tenants/${id}/suspend`)).body.status, "suspended");
      assert.equal((await ask("GET", "/v1/notes", { key })).body.code, "tenants.suspended");
      const place = await placements.find(id);
      const erased = await ask("DELETE", `/v1/tenants/${id}`);
      assert.equal(erased.status, 200, erased.text);
      assert.equal(erased.body.rows["platform.idempotency_keys"], 1);
      assert.equal((await ask("GET", "/v1/notes", { key })).status, 401);
      assert.equal((await ask("GET", `/v1/tenants/${id}`)).body.code, "tenants.not_found");
      assert.equal(await placements.find(id), undefined);
      if (style === "bridge") {
        assert.deepEqual(
          await database.query("select 1 from pg_namespace where nspname = $1", [place?.schema]),
          [],
        );
      }
      const silo = place?.database.split("/")[1];
      if (silo)
        assert.deepEqual(
          await database.query("select 1 from pg_database where datname = $1", [silo]),
          [],
        );
      const log = await ask("GET", `/v1/tenants/${id}/log`);
      assert.equal(log.body.items[0].action, "erased");
      // The slug is free again.
      assert.equal((await ask("GET", `/v1/shops/${slug}`)).status, 404);
    });
  }

  test("is created once, however often it is asked for", async () => {
    const { id, slug } = await createTenant();
    const body = {
      id,
      slug,
      style: "pool",
      name: "Again",
      currencies: ["EUR"],
      defaultCurrency: "EUR",
      defaultLocale: "de",
      pricesIncludeTax: false,
    };
    assert.equal((await ask("POST", "/v1/tenants", { body })).status, 201);
    const other = await ask("POST", "/v1/tenants", { body: { ...body, id: newId() } });
    assert.equal(other.body.code, "tenants.slug_taken");
    assert.equal(other.status, 409);
    const renamed = await ask("POST", "/v1/tenants", { body: { ...body, slug: "other-slug" } });
    assert.equal(renamed.body.code, "tenants.id_taken");
  });

  test("is configured with If-Match, and an outdated version is refused", async () => {
    const { id } = await createTenant();
    const settings = { reservationMinutes: 20, colour: "#aa0011" };
    const first = await ask("PATCH", `/v1/tenants/${id}`, {
      body: { settings },
      headers: { "if-match": '"1"' },
    });
    assert.deepEqual(first.body.settings, settings);
    assert.equal(first.headers.get("etag"), '"2"');
    const late = await ask("PATCH", `/v1/tenants/${id}`, {
      body: { name: "x" },
      headers: { "if-match": '"1"' },
    });
    assert.equal(late.status, 412);
    assert.equal(late.body.currentVersion, 2);
    const wrong = await ask("PATCH", `/v1/tenants/${id}`, {
      body: { settings: { reservationMinutes: 0 } },
    });
    assert.equal(wrong.body.errors[0].pointer, "/settings/reservationMinutes");
    const currency = await ask("PATCH", `/v1/tenants/${id}`, { body: { currencies: ["JPY"] } });
    assert.equal(currency.body.code, "tenants.default_currency_missing");
  });

  test("that is suspended is refused at the door, and served again when it is resumed", async () => {
    const { id } = await createTenant();
    const { key } = await createKey(id);
    assert.equal((await ask("GET", "/v1/notes", { key })).status, 200);
    await ask("POST", `/v1/tenants/${id}/suspend`);
    const refused = await ask("GET", "/v1/notes", { key });
    assert.equal(refused.status, 403);
    assert.equal(refused.body.code, "tenants.suspended");
    await ask("POST", `/v1/tenants/${id}/resume`);
    assert.equal((await ask("GET", "/v1/notes", { key })).status, 200);
  });

  test("list goes in pages whose cursors belong to it", async () => {
    await createTenant();
    await createTenant();
    const first = await ask("GET", "/v1/tenants?limit=1");
    assert.equal(first.body.items.length, 1);
    const next = await ask("GET", `/v1/tenants?limit=1&cursor=${first.body.nextCursor}`);
    assert.notEqual(next.body.items[0].id, first.body.items[0].id);
    const forged = await ask("GET", `/v1/api-keys?cursor=${first.body.nextCursor}`, {
      headers: { "brandos-tenant": first.body.items[0].id },
    });
    assert.equal(forged.body.code, "request.bad_cursor");
  });
});

describe("an API key", () => {
  test("is stored as a hash only", async () => {
    const { id } = await createTenant();
    const { key, id: keyId } = await createKey(id);
    const rows = await database.query("select * from control.api_keys where id = $1", [keyId]);
    assert.doesNotMatch(JSON.stringify(rows), new RegExp(key.slice(3)));
    assert.match(key, /^sk_[\w-]{43}$/);
  });

  test("opens what its permissions name", async () => {
    const { id } = await createTenant();
    const reader = await createKey(id, ["notes:read"]);
    assert.equal((await ask("GET", "/v1/notes", { key: reader.key })).status, 200);
    assert.equal((await addNote(reader.key, "x")).body.code, "auth.forbidden");
    const shop = await createKey(id, ["*"], "publishable");
    assert.match(shop.key, /^pk_/);
    assert.equal((await addNote(shop.key, "x")).status, 201);
    assert.equal((await ask("GET", "/v1/notes", { key: shop.key })).status, 403);
  });

  test("hands on no permission that it does not have", async () => {
    const { id } = await createTenant();
    const { key } = await createKey(id, ["api_keys:write", "notes:*"]);
    const make = (permissions: string[]) =>
      ask("POST", "/v1/api-keys", {
        key,
        body: { id: newId(), kind: "secret", name: "x", permissions },
      });
    assert.equal((await make(["notes:read"])).status, 201);
    assert.equal((await make(["*"])).body.code, "tenants.permission_not_held");
  });

  test("works beside its successor for the overlap, then ends", async () => {
    const { id } = await createTenant();
    const old = await createKey(id);
    const rotate = (overlapSeconds: number) =>
      ask("POST", `/v1/api-keys/${old.id}/rotate`, {
        key: old.key,
        body: { newId: newId(), overlapSeconds },
      });
    const successor = (await rotate(3600)).body.key;
    assert.equal((await ask("GET", "/v1/notes", { key: old.key })).status, 200);
    assert.equal((await ask("GET", "/v1/notes", { key: successor })).status, 200);
    await database.query("update control.api_keys set expires_at = now() where id = $1", [old.id]);
    await ask("PATCH", `/v1/tenants/${id}`, { body: { name: "poked" } });
    assert.equal((await ask("GET", "/v1/notes", { key: old.key })).status, 401);
    assert.equal((await ask("GET", "/v1/notes", { key: successor })).status, 200);
  });

  test("continues its predecessor's idempotency keys", async () => {
    const { id } = await createTenant();
    const old = await createKey(id);
    const first = await addNote(old.key, "same", "attempt-1");
    const rotated = await ask("POST", `/v1/api-keys/${old.id}/rotate`, {
      key: old.key,
      body: { newId: newId() },
    });
    const again = await addNote(rotated.body.key, "same", "attempt-1");
    assert.equal(again.text, first.text);
  });

  test("that is revoked opens nothing any more", async () => {
    const { id } = await createTenant();
    const { key, id: keyId } = await createKey(id);
    assert.equal((await ask("GET", "/v1/notes", { key })).status, 200);
    const revoked = await ask("DELETE", `/v1/api-keys/${keyId}`, {
      headers: { "brandos-tenant": id },
    });
    assert.ok(revoked.body.revokedAt);
    assert.equal((await ask("GET", "/v1/notes", { key })).status, 401);
  });

  test("of one tenant neither sees nor changes another's", async () => {
    const [mine, theirs] = [await createTenant(), await createTenant()];
    const { key } = await createKey(mine.id);
    const foreign = await createKey(theirs.id);
    await addNote(foreign.key, "their canary");
    assert.doesNotMatch((await ask("GET", "/v1/notes", { key })).text, /canary/);
    assert.doesNotMatch((await ask("GET", "/v1/api-keys", { key })).text, new RegExp(foreign.id));
    assert.equal((await ask("DELETE", `/v1/api-keys/${foreign.id}`, { key })).status, 404);
    const posing = await ask("GET", "/v1/notes", { key, headers: { "brandos-tenant": theirs.id } });
    assert.equal(posing.status, 401);
  });

  test("of a tenant does not open the operator's doors", async () => {
    const { id } = await createTenant();
    const { key } = await createKey(id);
    for (const path of ["/v1/tenants", `/v1/tenants/${id}`, `/v1/tenants/${id}/export`]) {
      assert.equal((await ask("GET", path, { key })).body.code, "auth.forbidden");
    }
  });
});

describe("requests with one Idempotency-Key", () => {
  test("S8: 50 at once have one effect and one body, byte for byte", async () => {
    const { id } = await createTenant();
    const { key } = await createKey(id);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => addNote(key, "once", "buy-1")),
    );
    const bodies = new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text));
    assert.equal(bodies.size, 1);
    const others = answers.filter(({ status }) => status !== 201);
    assert.ok(
      others.every(({ status, body }) => status === 409 && body.code === "idempotency.in_flight"),
    );
    assert.deepEqual((await ask("GET", "/v1/notes", { key })).body.items, ["once"]);
    assert.equal((await addNote(key, "once", "buy-1")).text, [...bodies][0]);
    const reused = await addNote(key, "twice", "buy-1");
    assert.equal(reused.status, 422);
    assert.equal(reused.body.code, "idempotency.key_reused");
  });
});

describe("bad input", () => {
  test("of every kind, to every operation, gets a problem and never a 5xx", async () => {
    const { id } = await createTenant();
    const { key } = await createKey(id);
    const other = await createTenant();
    await addNote((await createKey(other.id)).key, "their canary");
    const document = (await ask("GET", "/openapi.json")).body;
    const { sent, statuses, findings } = await fuzzApi({
      url,
      document,
      tokenFor: (operation) =>
        JSON.stringify(operation["security"]).includes("operatorKey") ? operatorKey : key,
      forbidden: [/canary/, /node_modules|\.ts:\d/],
    });
    assert.ok(sent > 500, `${sent} sent`);

    assert.deepEqual(findings, []);
    for (const status of [200, 201, 400, 401, 404]) assert.ok(statuses[status], `${status} occurs`);
  });
});

describe("the shop page's first question", () => {
  test("is answered for active tenants only, without a credential", async () => {
    const { id, slug } = await createTenant();
    const shop = await fetch(`${url}/v1/shops/${slug}`);
    assert.deepEqual(((await shop.json()) as { currencies: string[] }).currencies, ["EUR", "JPY"]);
    await ask("POST", `/v1/tenants/${id}/suspend`);
    assert.equal((await fetch(`${url}/v1/shops/${slug}`)).status, 403);
  });
});
