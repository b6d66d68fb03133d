import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { type App, createApp } from "./app.ts";
import { readConfig } from "./config.ts";
import type { Context } from "./kernel/context.ts";
import { newId, type TenantId } from "./kernel/ids.ts";
import { type Random, seededRandom } from "./kernel/random.ts";
import { noTenant } from "./platform/http/request-call.ts";
import { createTestDatabase, type TestDatabase } from "./testing/database.ts";
import { fuzzApi, sampleRequest } from "./testing/openapi-fuzz.ts";

const operatorKey = "op_0123456789abcdefghijklmnopqrstuvwxyz";
const operator: Context = {
  tenantId: noTenant,
  actor: { kind: "operator", id: "operator" },
  requestId: "test",
};

interface Brand {
  readonly id: TenantId;
  readonly secret: string;
  readonly publishable: string;
}

let database: TestDatabase;
let app: App;
let url: string;
const logged: string[] = [];
let mine: Brand;
let theirs: Brand;

before(async () => {
  database = await createTestDatabase();
  const tell = (fields: Readonly<Record<string, unknown>>, message: string) => {
    const error = fields["err"] instanceof Error ? `${fields["err"].stack}` : "";
    logged.push(`${message} ${fields["operation"] ?? fields["route"] ?? ""} ${error}`);
  };
  app = await createApp({
    config: readConfig({ PORT: "0", NODE_ENV: "test", BRANDOS_ROLES: "api" }),
    homeUrl: database.ownerUrl,
    operatorKey,
    secret: "a secret of at least thirty-two characters",
    log: { info() {}, warn: tell, error: tell },
  });
  ({ url = "" } = await app.start());
  mine = await createBrand("mine");
  theirs = await createBrand("theirs");
});
after(async () => {
  await app.stop();
  await database.drop();
});

async function createBrand(slug: string): Promise<Brand> {
  const id = newId<"tenant">();
  const created = await app.tenants.create(operator, {
    id,
    slug,
    style: "pool",
    name: `canary of ${slug}`,
    currencies: ["EUR"],
    defaultCurrency: "EUR",
    defaultLocale: "en",
    pricesIncludeTax: true,
  });
  assert.ok(created.ok);
  const ctx = { ...operator, tenantId: id };
  const keys = [];
  for (const kind of ["secret", "publishable"] as const) {
    const command = { id: newId<"api_key">(), kind, name: kind, permissions: ["*"] };
    const issued = await app.tenants.createKey(ctx, { permissions: ["*"] }, command);
    assert.ok(issued.ok);
    keys.push(issued.value.key);
  }
  const [secret = "", publishable = ""] = keys;
  return { id, secret, publishable };
}

type Json = { readonly [key: string]: unknown };

async function openApi(): Promise<Json> {
  return (await (await fetch(`${url}/openapi.json`)).json()) as Json;
}

const isOperators = (operation: Json) =>
  JSON.stringify(operation["security"] ?? "").includes("operatorKey");

/** All rows of a tenant, as one number: nothing of it changed while this stays the same. */
async function fingerprint({ id }: Brand): Promise<string> {
  const hash = createHash("sha256");
  for await (const line of app.tenants.export(id)) hash.update(line);
  return hash.digest("hex");
}

interface Called {
  readonly method: string;
  readonly template: string;
  readonly operation: Json;
}

function operationsOf(document: Json): Called[] {
  const paths = document["paths"] as Record<string, Record<string, Json>>;
  return Object.entries(paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ template, method, operation })),
  );
}

async function call(
  brand: Brand,
  { method, template, operation }: Called,
  { random, parameters = {}, key = brand.secret }: CallOptions,
): Promise<{ readonly status: number; readonly sent: string; readonly text: string }> {
  const made = sampleRequest(template, method, operation, { random, parameters });
  const response = await fetch(url + made.path, {
    method: made.method,
    headers: {
      authorization: `Bearer ${key}`,
      "idempotency-key": newId(),
      ...(made.body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(made.body === undefined ? {} : { body: made.body }),
  });
  const live = /event-stream/.test(response.headers.get("content-type") ?? "");
  if (live) await response.body?.cancel();
  const text = live ? "" : await response.text();
  return { status: response.status, sent: made.path + (made.body ?? ""), text };
}

interface CallOptions {
  readonly random: Random;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly key?: string;
}

const uuids = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;

describe("every operation of the API", () => {
  test("answers bad input of every kind with a problem, and never with a 5xx", async () => {
    const { sent, statuses, findings } = await fuzzApi({
      url,
      document: await openApi(),
      // The operator's own operations are tried with the operator's key in the tenants' tests.
      tokenFor: () => mine.secret,
      forbidden: [/canary of theirs/, /node_modules|\.ts:\d/],
      answerMaxMs: 5_000,
      concurrency: 8,
      // All of them are 37,000 requests: BRANDOS_TEST_FUZZ=1 sends every one.
      share: process.env["BRANDOS_TEST_FUZZ"] ? 1 : 0.1,
    });
    assert.ok(sent > 1_000, `${sent} sent`);
    assert.deepEqual(findings, [], [...new Set(logged)].join("\n"));
    for (const status of [200, 201, 400, 404, 409, 422])
      assert.ok(statuses[status], `${status} occurs`);
  });

  test("S9: neither shows nor changes another tenant's things by their ids", async () => {
    const random = seededRandom(9);
    const operations = operationsOf(await openApi()).filter(
      ({ operation }) => !isOperators(operation),
    );
    const theirIds = new Set<string>();
    for (let round = 0; round < 2; round++) {
      for (const each of operations.filter(({ method }) => /post|put/.test(method))) {
        const { status, text } = await call(theirs, each, { random });
        if (status < 300) for (const [id] of text.matchAll(uuids)) theirIds.add(id);
      }
    }
    assert.ok(theirIds.size >= 5, `${theirIds.size} ids of theirs`);
    const before = await fingerprint(theirs);
    const shown: string[] = [];
    for (const each of operations.filter(({ template }) => template.includes("{"))) {
      const names = [...each.template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");
      for (const id of theirIds) {
        const parameters = Object.fromEntries(names.map((name) => [name, id]));
        for (const key of [mine.secret, mine.publishable]) {
          const { status, sent, text } = await call(mine, each, { random, parameters, key });
          const leaked = [...text.matchAll(uuids)].some(
            ([found]) => theirIds.has(found) && !sent.includes(found),
          );
          // An empty list says nothing about whether there is such a thing.
          const empty = text === '{"items":[]}';
          const open = each.method === "get" && status < 300 && !empty;
          if (leaked || open || status >= 500) {
            shown.push(`${each.operation["operationId"]} ${status} ${text.slice(0, 200)}`);
          }
        }
      }
    }
    assert.deepEqual([...new Set(shown)], []);
    assert.equal(await fingerprint(theirs), before);
  });
});
