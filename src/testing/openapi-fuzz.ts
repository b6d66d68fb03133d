import { type Random, seededRandom } from "../kernel/random.ts";

type Json = { readonly [key: string]: unknown };

/** One bad request. */
export interface FuzzCase {
  /** Operation and what is bad about it, for reports. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An answer that breaks the promise. */
export interface FuzzFinding {
  readonly name: string;
  readonly problem: string;
}

/** Where to send, and as whom. */
export interface FuzzConfig {
  readonly url: string;
  /** A document as `/openapi.json` gives it. */
  readonly document: Json;
  /** Bearer token for an operation; undefined for none. */
  readonly tokenFor: (operation: Json) => string | undefined;
  /** Texts no answer may contain: canaries of other tenants, names of files. */
  readonly forbidden?: readonly RegExp[];
  readonly seed?: number;
  /** Share of the cases to send, chosen by the seed; default 1, all of them. */
  readonly share?: number;
  /** Longest an answer may take, milliseconds; default 1,000. */
  readonly answerMaxMs?: number;
  /** Requests under way at once; default 1. */
  readonly concurrency?: number;
}

/** What fuzzing came to. */
export interface FuzzReport {
  readonly sent: number;
  /** Answers by status: a run without any 2xx never got past the door. */
  readonly statuses: Readonly<Record<number, number>>;
  readonly findings: readonly FuzzFinding[];
}

/**
 * Sends every bad request that {@link fuzzCases} makes of every operation.
 *
 * @returns what broke the promise: a 5xx, no problem document, too slow, a forbidden text
 */
export async function fuzzApi(config: FuzzConfig): Promise<FuzzReport> {
  const findings: FuzzFinding[] = [];
  const statuses: Record<number, number> = {};
  let sent = 0;
  const cases = fuzzCases(config);
  const chance = seededRandom((config.seed ?? 1) + 1);
  const work = async () => {
    for (const each of cases) {
      if (chance() >= (config.share ?? 1)) continue;
      sent++;
      const { status, problem } = await judge(config, each);
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (problem) findings.push({ name: each.name, problem });
    }
  };
  await Promise.all(Array.from({ length: config.concurrency ?? 1 }, work));
  return { sent, statuses, findings: findings.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
}

interface Verdict {
  readonly status: number;
  readonly problem: string | undefined;
}

async function judge(config: FuzzConfig, each: FuzzCase): Promise<Verdict> {
  const startedAt = performance.now();
  try {
    const response = await fetch(config.url + each.path, {
      method: each.method,
      headers: each.headers,
      redirect: "manual",
      signal: AbortSignal.timeout(10_000),
      ...(each.body === undefined ? {} : { body: each.body }),
    });
    const live = /event-stream/.test(response.headers.get("content-type") ?? "");
    // A live stream has no end: its head is its answer.
    const text = live ? "" : await response.text();
    if (live) await response.body?.cancel();
    const answer = { response, text, elapsedMs: performance.now() - startedAt };
    return { status: response.status, problem: wrongWith(config, answer) };
  } catch (error) {
    return { status: 0, problem: `no answer: ${error}` };
  }
}

interface FuzzAnswer {
  readonly response: Response;
  readonly text: string;
  readonly elapsedMs: number;
}

function wrongWith(config: FuzzConfig, answer: FuzzAnswer): string | undefined {
  const { response, text, elapsedMs } = answer;
  if (response.status >= 500) return `${response.status} ${text.slice(0, 200)}`;
  const isProblem = /problem\+json/.test(response.headers.get("content-type") ?? "");
  if (response.status >= 400 && !isProblem) return `${response.status} without a problem document`;
  if (elapsedMs > (config.answerMaxMs ?? 1_000)) return `took ${Math.round(elapsedMs)} ms`;
  const leaked = config.forbidden?.find((pattern) => pattern.test(text));
  return leaked && `says ${leaked}`;
}

/** Makes the bad requests of every operation of a document; the same seed makes the same ones. */
export function* fuzzCases(config: FuzzConfig): Generator<FuzzCase> {
  const random = seededRandom(config.seed ?? 1);
  const paths = config.document["paths"] as Record<string, Record<string, Json>>;
  for (const [template, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const token = config.tokenFor(operation);
      const base: Operation = {
        name: String(operation["operationId"]),
        method: method.toUpperCase(),
        template,
        parameters: inlineParameters(operation),
        body: bodySchema(operation),
        headers: {
          "idempotency-key": `fuzz-${Math.floor(random() * 1e9)}`,
          ...(token ? { authorization: `Bearer ${token}` } : {}),
        },
      };
      yield* parameterCases(base, random);
      if (base.body) yield* bodyCases(base, base.body, random);
      yield* headerCases(base, random);
    }
  }
}

interface Operation {
  readonly name: string;
  readonly method: string;
  readonly template: string;
  readonly parameters: readonly Json[];
  readonly body: Json | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

function inlineParameters(operation: Json): readonly Json[] {
  return ((operation["parameters"] ?? []) as Json[]).filter((parameter) => "in" in parameter);
}

function bodySchema(operation: Json): Json | undefined {
  const content = (operation["requestBody"] as { content?: Json } | undefined)?.content;
  return (content?.["application/json"] as { schema?: Json } | undefined)?.schema;
}

/** Texts that break careless code: encodings, injections, traversal, formats. */
const nastyTexts: readonly string[] = [
  "",
  " ",
  "\u0000",
  "\ud800",
  "\u202e",
  "😀".repeat(50),
  "x".repeat(5_000),
  "null",
  "undefined",
  "NaN",
  "' or 1=1 --",
  "'; drop table orders; --",
  "$1",
  "%s%n",
  "$" + "{7*7}",
  "{{7*7}}",
  "<script>alert(1)</script>",
  "../../etc/passwd",
  "..%2f..%2f",
  "\\..\\",
  "-1",
  "0",
  "1e309",
  "9007199254740993",
  "0x7f.1",
  "00000000-0000-0000-0000-000000000000",
  "2026-02-30T00:00:00Z",
  "9999-12-31T23:59:60Z",
  "__proto__",
  "constructor",
  "a\r\nX-Injected: 1",
  "null\u0000",
  "١٢٣",
];

const nastyValues: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1.5,
  2 ** 53,
  -(2 ** 53),
  1e308,
  "",
  [],
  [null],
  {},
  { $date: "x" },
];

function* parameterCases(base: Operation, random: Random): Generator<FuzzCase> {
  for (const parameter of base.parameters) {
    for (const text of nastyTexts) {
      const given = { [String(parameter["name"])]: text };
      const name = `${base.name} ${parameter["in"]}.${parameter["name"]}=${JSON.stringify(text.slice(0, 30))}`;
      yield { name, ...request(base, random, given) };
    }
  }
  yield { name: `${base.name} unknown parameter`, ...request(base, random, { surprise: "1" }) };
}

function* headerCases(base: Operation, random: Random): Generator<FuzzCase> {
  const odd: Readonly<Record<string, readonly string[]>> = {
    "if-match": ["x", '"x"', 'W/"1"', '"99999999999999999999"', "*"],
    "idempotency-key": ["", "é".normalize("NFD").slice(1) || "x", "x".repeat(300), '"quoted"'],
    "brandos-version": ["1999-01-01"],
    "brandos-tenant": ["x", "00000000-0000-0000-0000-000000000000"],
    accept: ["image/png", "*/*;q=0", "application/json;q=0.1"],
    authorization: ["Bearer", "Bearer x y", "Basic eDp5", `Bearer ${"x".repeat(600)}`],
    traceparent: ["00-0-0-0", "x"],
    "content-type": ["text/plain", "application/json; charset=utf-16", "multipart/form-data"],
  };
  for (const [header, values] of Object.entries(odd)) {
    for (const value of values) {
      if (/[^\x20-\x7e]/.test(value)) continue;
      const made = request(base, random, {});
      const name = `${base.name} ${header}: ${value.slice(0, 30)}`;
      yield { name, ...made, headers: { ...made.headers, [header]: value } };
    }
  }
}

function* bodyCases(base: Operation, schema: Json, random: Random): Generator<FuzzCase> {
  const good = sample(schema, random);
  const bad = (what: string, body: string): FuzzCase => ({
    name: `${base.name} body ${what}`,
    ...request(base, random, {}),
    body,
  });
  for (const [what, text] of brokenJson(good)) yield bad(what, text);
  for (const value of nastyValues)
    yield bad(JSON.stringify(value) ?? "undefined", JSON.stringify(value));
  for (const path of pathsOf(good)) {
    const at = path.join(".");
    yield bad(`without ${at}`, JSON.stringify(withValue(good, path, undefined)));
    for (const value of [...nastyValues, ...nastyTexts]) {
      const shown = JSON.stringify(value)?.slice(0, 30);
      yield bad(`${at} = ${shown}`, JSON.stringify(withValue(good, path, value)));
    }
  }
}

function* brokenJson(good: unknown): Generator<readonly [string, string]> {
  const text = JSON.stringify(good);
  yield ["cut off", text.slice(0, -1)];
  yield ["followed by more", `${text}{}`];
  yield ["empty", ""];
  yield ["an unknown field", withMember(text, '"surprise":1')];
  yield ["__proto__", withMember(text, '"__proto__":{"isAdmin":true}')];
  yield ["constructor", withMember(text, '"constructor":{"prototype":{"a":1}}')];
  yield ["a name twice", withMember(text, '"twice":1,"twice":2')];
  yield ["10,000 levels", "[".repeat(10_000) + "]".repeat(10_000)];
  yield ["1e309", "1e309"];
  yield ["-0", "-0"];
}

function withMember(text: string, member: string): string {
  if (!text.startsWith("{")) return text;
  return text === "{}" ? `{${member}}` : `{${member},${text.slice(1)}`;
}

/** One request of an operation that it should understand, with parameters of the caller's choice. */
export function sampleRequest(
  template: string,
  method: string,
  operation: Json,
  given: { readonly random: Random; readonly parameters?: Readonly<Record<string, string>> },
): Omit<FuzzCase, "name" | "headers"> {
  const base = {
    name: "",
    method: method.toUpperCase(),
    template,
    parameters: inlineParameters(operation),
    body: bodySchema(operation),
    headers: {},
  };
  const { headers: _, ...made } = request(base, given.random, given.parameters ?? {});
  return made;
}

function request(
  base: Operation,
  random: Random,
  given: Readonly<Record<string, string>>,
): Omit<FuzzCase, "name"> {
  const query = new URLSearchParams();
  let path = base.template;
  for (const parameter of base.parameters) {
    const name = String(parameter["name"]);
    const value = given[name] ?? String(sample(parameter["schema"] as Json, random) ?? "x");
    if (parameter["in"] === "path") path = path.replace(`{${name}}`, encode(value) || "%20");
    else if (parameter["required"] === true || name in given)
      query.append(name, value.toWellFormed());
  }
  for (const [name, value] of Object.entries(given)) {
    if (!base.parameters.some((parameter) => parameter["name"] === name)) query.append(name, value);
  }
  const suffix = query.size > 0 ? `?${query}` : "";
  const body = base.body ? { body: JSON.stringify(sample(base.body, random)) } : {};
  const type = base.body ? { "content-type": "application/json" } : {};
  return {
    method: base.method,
    path: path + suffix,
    headers: { ...base.headers, ...type },
    ...body,
  };
}

function encode(value: string): string {
  return encodeURIComponent(value.toWellFormed());
}

/** A value that the schema accepts, as well as can be told from its commonest keywords. */
export function sample(schema: Json, random: Random): unknown {
  if ("const" in schema) return schema["const"];
  const options = (schema["enum"] ?? []) as unknown[];
  if (options.length > 0) return options[Math.floor(random() * options.length)];
  const alternatives = (schema["anyOf"] ?? schema["oneOf"]) as Json[] | undefined;
  if (alternatives)
    return sample(alternatives[Math.floor(random() * alternatives.length)] ?? {}, random);
  const parts = schema["allOf"] as Json[] | undefined;
  if (parts) return Object.assign({}, ...parts.map((part) => sample(part, random)));
  const type = Array.isArray(schema["type"]) ? schema["type"][0] : schema["type"];
  if (type === "object") return sampleObject(schema, random);
  if (type === "array") {
    const count = Math.max(1, Number(schema["minItems"] ?? 0));
    return Array.from({ length: count }, () => sample((schema["items"] ?? {}) as Json, random));
  }
  if (type === "integer" || type === "number") return Number(schema["minimum"] ?? 1);
  if (type === "boolean") return random() < 0.5;
  if (type === "null") return null;
  return sampleText(schema, random);
}

function sampleObject(schema: Json, random: Random): Json {
  const properties = (schema["properties"] ?? {}) as Record<string, Json>;
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, sample(property, random)]),
  );
}

function sampleText(schema: Json, random: Random): string {
  const digits = (count: number) =>
    Array.from({ length: count }, () => Math.floor(random() * 16).toString(16)).join("");
  switch (schema["format"]) {
    case "uuid":
      return `0198c0de-${digits(4)}-7${digits(3)}-8${digits(3)}-${digits(12)}`;
    case "date-time":
      return "2026-05-04T03:02:01Z";
    case "date":
      return "2026-05-04";
    case "email":
      return `a${digits(4)}@example.com`;
    case "uri":
      return "https://example.com/";
  }
  if (/A-Z\]\{3\}/.test(String(schema["pattern"]))) return "EUR";
  if (/A-Z\]\{2\}/.test(String(schema["pattern"]))) return "DE";
  return `a${digits(Math.max(3, Number(schema["minLength"] ?? 1)))}`.slice(
    0,
    Number(schema["maxLength"] ?? 50),
  );
}

type Path = readonly (string | number)[];

function pathsOf(value: unknown, before: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const path = [...before, Array.isArray(value) ? Number(key) : key];
    return [path, ...pathsOf(item, path)];
  });
}

function withValue(root: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  const copy: Record<string | number, unknown> = Array.isArray(root)
    ? ([...root] as unknown as Record<number, unknown>)
    : { ...(root as Json) };
  copy[key] = rest.length === 0 ? value : withValue(copy[key], rest, value);
  return copy;
}
