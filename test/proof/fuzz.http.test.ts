import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "../../src/kernel/ids.ts";
import { type Random, seededRandom } from "../../src/kernel/random.ts";
import { must, openTestBrand, type TestBrand } from "../../src/testing/brand.ts";
import { sampleRequest } from "../../src/testing/openapi-fuzz.ts";
import { openTestShop, type TestShop, testSecrets } from "../../src/testing/shop.ts";

type Json = { readonly [key: string]: unknown };

/** Longest an answer may take, milliseconds; a slow one gets a second chance, alone. */
const answerMaxMs = 1_000;
/** Longest the bad bodies are sent, milliseconds: the seed decides which come first. */
const budgetMs = 45_000;
const concurrency = 8;
const seed = 20_101_201;

let shop: TestShop;
let mine: TestBrand;
let theirs: TestBrand;
let operations: readonly Operation[];

interface Operation {
  readonly name: string;
  readonly method: string;
  readonly template: string;
  readonly operation: Json;
  readonly token: string;
}

before(async () => {
  shop = await openTestShop("api");
  mine = await openBusyBrand();
  theirs = await openBusyBrand();
  const document = (await (await fetch(`${shop.url}/openapi.json`)).json()) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>;
  };
  operations = Object.entries(document.paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: String(operation["operationId"]),
      method: method.toUpperCase(),
      template,
      operation,
      token: JSON.stringify(operation["security"] ?? "").includes("operatorKey")
        ? testSecrets.operatorKey
        : mine.secretKey,
    })),
  );
});
after(() => shop.stop());

/** A brand with something of everything that lists show. */
async function openBusyBrand(): Promise<TestBrand> {
  const brand = await openTestBrand(shop.app);
  const { checkout, carts } = shop.app.commerce;
  await brand.coupon("CANARY", { kind: "percentage", offBps: 100 });
  const { currency, ...patch } = brand.basket();
  must(await carts.change(brand.ctx, { id: newId<"cart">(), create: { currency }, patch }));
  for (const email of ["one@example.com", "two@example.com"]) {
    const command = {
      orderId: newId<"order">(),
      from: { basket: brand.basket({ email }) },
      payment: { provider: "manual" },
    };
    must(await checkout.checkout(brand.ctx, command, 10_000));
  }
  return brand;
}

interface Bad {
  readonly what: string;
  readonly operation: Operation;
  readonly path: string;
  readonly body?: string;
  readonly method?: string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type: string;
  readonly elapsedMs: number;
}

async function send({ operation, path, body, method }: Bad): Promise<Answer> {
  const startedAt = performance.now();
  const response = await fetch(shop.url + path, {
    method: method ?? operation.method,
    headers: {
      authorization: `Bearer ${operation.token}`,
      "idempotency-key": newId(),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    redirect: "manual",
    signal: AbortSignal.timeout(20_000),
    ...(body === undefined ? {} : { body }),
  });
  const type = response.headers.get("content-type") ?? "";
  const isLive = type.includes("event-stream");
  const text = isLive ? "" : await response.text();
  if (isLive) await response.body?.cancel();
  return { status: response.status, text, type, elapsedMs: performance.now() - startedAt };
}

/** What an answer breaks; nothing when it is as it must be. */
function wrongWith({ status, text, type, elapsedMs }: Answer): string | undefined {
  if (status >= 500) return `${status}: ${text.slice(0, 300)}`;
  if (text.includes(`canary of t-${theirs.tenantId.replaceAll("-", "").slice(-20)}`))
    return "tells another tenant's name";
  if (/node_modules|\.ts:\d|at async/.test(text)) return `shows code: ${text.slice(0, 200)}`;
  if (status >= 400) {
    const problem = /problem\+json/.test(type) ? JSON.parse(text) : {};
    if (problem.status !== status || typeof problem.title !== "string" || !problem.type)
      return `${status} is no problem document: ${type} ${text.slice(0, 200)}`;
  }
  return elapsedMs > answerMaxMs ? `took ${Math.round(elapsedMs)} ms` : undefined;
}

async function judge(bad: Bad): Promise<{ readonly status: number; readonly problem?: string }> {
  try {
    let answer = await send(bad);
    if (answer.elapsedMs > answerMaxMs && !wrongWith({ ...answer, elapsedMs: 0 }))
      answer = await send(bad);
    const problem = wrongWith(answer);
    const { status } = answer;
    return problem
      ? { status, problem: `${bad.operation.name} ${bad.what}: ${problem}` }
      : { status };
  } catch (error) {
    return { status: 0, problem: `${bad.operation.name} ${bad.what}: no answer: ${error}` };
  }
}

async function sendAll(cases: readonly Bad[], withinMs: number) {
  const deadline = performance.now() + withinMs;
  const statuses: Record<number, number> = {};
  const problems: string[] = [];
  let next = 0;
  const work = async () => {
    while (next < cases.length && performance.now() < deadline) {
      const { status, problem } = await judge(cases[next++] as Bad);
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (problem) problems.push(problem);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return { sent: next, of: cases.length, statuses, problems };
}

/** Ids of a brand's things by the path of their list: `/v1/orders`. */
async function idsOf(brand: TestBrand): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>();
  for (const each of operations) {
    if (each.method !== "GET" || each.template.includes("{")) continue;
    const listed = { ...each, token: brand.secretKey };
    const { status, text, type } = await send({ what: "", operation: listed, path: each.template });
    if (status !== 200 || !/json/.test(type) || /ndjson/.test(type)) continue;
    const id = JSON.parse(text)?.items?.[0]?.id;
    if (typeof id === "string") ids.set(each.template, id);
  }
  return ids;
}

/** Good parameters for the path of an operation, as far as they are known. */
function parametersOf(
  { template }: Operation,
  ids: ReadonlyMap<string, string>,
): Readonly<Record<string, string>> {
  const [list = ""] = template.split("/{");
  const [name] = /\{(\w+)\}/.exec(template)?.slice(1) ?? [];
  const id = ids.get(list);
  return name && id ? { [name]: id } : {};
}

/** JSON texts that break careless code; a member's value is replaced by each. */
const nastyTokens: readonly (readonly [string, string])[] = [
  ["null", "null"],
  ["1e309", "1e309"],
  ["-0", "-0"],
  ["2^53", "9007199254740992"],
  ["-2^53-1", "-9007199254740993"],
  ["2^31", "2147483648"],
  ["2^63", "9223372036854775808"],
  ["1.5", "1.5"],
  ["true", "true"],
  ["[]", "[]"],
  ["{}", "{}"],
  ["__proto__", '{"__proto__":{"isAdmin":true}}'],
  ["NUL", '"a\\u0000b"'],
  ["a lone surrogate", '"\\ud800"'],
  ["a huge text", JSON.stringify("x".repeat(200_000))],
  ["2,000 levels", "[".repeat(2_000) + "]".repeat(2_000)],
  ["another id", '"0198c0de-0000-7000-8000-000000000000"'],
  ["SQL", '"\'; drop table orders; --"'],
];

type Path = readonly (string | number)[];

function pathsOf(value: unknown, before: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const at = [...before, Array.isArray(value) ? Number(key) : key];
    return [at, ...pathsOf(item, at)];
  });
}

/** The JSON of a value with one member replaced by a text that JSON.stringify could not write. */
function withToken(root: unknown, path: Path, token: string): string {
  const mark = "\u0001mark\u0001";
  const copy = structuredClone(root) as Record<string | number, unknown>;
  let holder = copy;
  for (const key of path.slice(0, -1)) holder = holder[key] as typeof holder;
  holder[path.at(-1) ?? ""] = mark;
  return JSON.stringify(copy).replace(JSON.stringify(mark), () => token);
}

function bodyCases(operation: Operation, ids: ReadonlyMap<string, string>, random: Random): Bad[] {
  const { template, method } = operation;
  const parameters = parametersOf(operation, ids);
  const made = sampleRequest(template, method, operation.operation, { random, parameters });
  if (made.body === undefined) return [];
  const good: unknown = JSON.parse(made.body);
  const cases = pathsOf(good).flatMap((path) =>
    nastyTokens.map(([what, token]) => ({
      what: `${path.join(".")} = ${what}`,
      operation,
      path: made.path,
      body: withToken(good, path, token),
    })),
  );
  const [first] = Object.keys(good as object);
  const twice = first ? made.body.replace("{", () => `{${JSON.stringify(first)}:1,`) : made.body;
  return [...cases, { what: "a name twice", operation, path: made.path, body: twice }];
}

function shuffled<Item>(items: readonly Item[], random: Random): Item[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

describe("every route", () => {
  // Before the fuzz: that may well revoke the very key it comes with.
  test("S9: answers the ids of another tenant's things like ids of nothing", async (t) => {
    const random = seededRandom(seed + 1);
    const ids = await idsOf(theirs);
    const told: string[] = [];
    let asked = 0;
    for (const operation of operations) {
      const parameters = parametersOf(operation, ids);
      const isOperators = operation.token === testSecrets.operatorKey;
      if (Object.keys(parameters).length === 0 || isOperators) continue;
      const { template, method } = operation;
      const made = sampleRequest(template, method, operation.operation, { random, parameters });
      asked++;
      const answer = await send({ what: "", operation, ...made });
      const wrong = wrongWith(answer);
      if (wrong) told.push(`${operation.name}: ${wrong}`);
      if (method === "GET" && answer.status !== 404)
        told.push(`${operation.name}: ${answer.status} ${answer.text.slice(0, 100)}`);
    }
    t.diagnostic(`${asked} operations asked for things of ${ids.size} kinds`);
    assert.ok(ids.size >= 5, `${ids.size} kinds`);
    assert.deepEqual(told, []);
    assert.deepEqual(await theirs.broken(), []);
  });

  test("answers bad members of its body on things that exist with a problem", async (t) => {
    const random = seededRandom(seed);
    const ids = await idsOf(mine);
    const cases = operations
      // These would end the brand that the rest of the test needs.
      .filter(({ token }) => token !== testSecrets.operatorKey)
      .flatMap((operation) => bodyCases(operation, ids, random));
    const report = await sendAll(shuffled(cases, random), budgetMs);
    t.diagnostic(`${report.sent} of ${report.of} sent: ${JSON.stringify(report.statuses)}`);
    assert.deepEqual(report.problems, [], shop.logged.slice(0, 5).join("\n"));
    assert.ok(report.sent >= Math.min(report.of, 1_000), `${report.sent} sent`);
    assert.ok(report.statuses[400] || report.statuses[422], "some were refused");
    assert.ok(report.statuses[200] || report.statuses[201], "some got past the door");
  });

  test("answers a method it does not have with a problem", async () => {
    const known = new Set(operations.map(({ method, template }) => `${method} ${template}`));
    const cases = operations.flatMap((operation) =>
      ["GET", "POST", "PUT", "PATCH", "DELETE"]
        .filter((method) => !known.has(`${method} ${operation.template}`))
        .map((method) => ({
          what: `with ${method}`,
          operation,
          path: operation.template.replaceAll(/\{\w+\}/g, newId()),
          method,
        })),
    );
    const { problems, statuses } = await sendAll(cases, budgetMs);
    assert.deepEqual(problems, []);
    for (const status of Object.keys(statuses)) assert.match(status, /^4/);
  });
});
