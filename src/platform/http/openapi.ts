import { platformProblems, problemTypePrefix } from "./problem.ts";
import { apiVersions, currentApiVersion } from "./request-headers.ts";
import type { Route } from "./route.ts";
import { closed, type JsonSchema } from "./validation.ts";

/** What the document says about the whole. */
export interface OpenApiInfo {
  readonly title: string;
  readonly version: string;
  readonly description?: string;
}

/** A document by OpenAPI 3.1. @see https://spec.openapis.org/oas/v3.1.0 */
export type OpenApiDocument = JsonSchema;

type Statuses = Readonly<Record<string, number>>;

/** Describes the operations from the schemas that validate them. */
export function openApiOf(
  routes: readonly Route[],
  failureStatuses: Statuses,
  info: OpenApiInfo,
): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const operation = operationOf(route, failureStatuses);
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation };
  }
  const tags = [...new Set(routes.map((route) => route.tag))].toSorted();
  return {
    openapi: "3.1.0",
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    info: { description: "", ...info, license: { name: "MIT", identifier: "MIT" } },
    servers: [{ url: "/" }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: { schemas: { Problem: problemSchema }, securitySchemes, parameters, headers },
  };
}

function operationOf(route: Route, statuses: Statuses): JsonSchema {
  const { schemas } = route;
  const security = securityOf(route);
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description ? { description: route.description } : {}),
    ...(route.permission ? { "x-permission": route.permission } : {}),
    ...(security ? { security } : {}),
    parameters: parametersOf(route),
    ...(schemas.body || route.rawBody ? { requestBody: requestBodyOf(route) } : {}),
    responses: { ...successOf(route), ...problemsOf(route, statuses) },
  };
}

function securityOf(route: Route): readonly JsonSchema[] | undefined {
  if (route.access === "public") return [];
  if (route.access === "operator") return [{ operatorKey: [] }];
  if (route.access === "secret") return [{ secretKey: [] }];
  return [{ publishableKey: [] }, { secretKey: [] }];
}

function parametersOf(route: Route): readonly JsonSchema[] {
  const path = parametersIn(route.schemas.params as JsonSchema | undefined, "path");
  const query = parametersIn(route.schemas.query as JsonSchema | undefined, "query");
  const shared = [reference("ApiVersion"), reference("Timeout")];
  if (route.method !== "GET" && route.idempotency !== "none" && route.access !== "operator") {
    if (route.access !== "public") {
      shared.push(
        reference(route.idempotency === "required" ? "IdempotencyKeyRequired" : "IdempotencyKey"),
      );
    }
  }
  if (route.ifMatch)
    shared.push(reference(route.ifMatch === "required" ? "IfMatchRequired" : "IfMatch"));
  return [...path, ...query, ...shared];
}

function reference(name: string): JsonSchema {
  return { $ref: `#/components/parameters/${name}` };
}

function parametersIn(schema: JsonSchema | undefined, place: "path" | "query"): JsonSchema[] {
  const properties = (schema?.["properties"] ?? {}) as Record<string, JsonSchema>;
  const required = new Set((schema?.["required"] ?? []) as string[]);
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property;
    return {
      name,
      in: place,
      required: place === "path" || required.has(name),
      ...(description ? { description } : name === "cursor" ? { description: cursorHint } : {}),
      ...(property["type"] === "array" ? { style: "form", explode: false } : {}),
      schema: enumerated(rest),
    };
  });
}

const cursorHint =
  "Opaque position from `nextCursor` of the page before. It belongs to this list with these filters.";

function requestBodyOf(route: Route): JsonSchema {
  if (route.rawBody) {
    return { required: true, content: { "*/*": { schema: { type: "string", format: "binary" } } } };
  }
  const schema = enumerated(closed(route.schemas.body as unknown as JsonSchema)) as JsonSchema;
  return { required: true, content: { "application/json": { schema } } };
}

function successOf(route: Route): JsonSchema {
  const { response } = route.schemas;
  const headers = { "X-Request-Id": headerReference("RequestId"), ETag: headerReference("ETag") };
  if (!response) {
    return { "2XX": { description: "Done.", headers } };
  }
  const schema = enumerated(response) as JsonSchema;
  const description = String((response as JsonSchema)["description"] ?? "Done.");
  return { "2XX": { description, headers, content: { "application/json": { schema } } } };
}

function headerReference(name: string): JsonSchema {
  return { $ref: `#/components/headers/${name}` };
}

/** Failures of the operation and of the door before it, by status. */
function problemsOf(route: Route, statuses: Statuses): JsonSchema {
  const codes = new Map<number, string[]>();
  const add = (status: number | undefined, code: string) => {
    if (status !== undefined) codes.set(status, [...(codes.get(status) ?? []), code]);
  };
  for (const code of route.failures ?? []) add(statuses[code], code);
  for (const code of doorCodes(route)) add(platformProblems[code][0], code);
  return Object.fromEntries(
    [...codes].map(([status, names]) => [
      String(status),
      {
        description: names.map((name) => `\`${name}\``).join(", "),
        content: {
          "application/problem+json": {
            schema: { $ref: "#/components/schemas/Problem" },
            example: exampleProblem(status, names[0] ?? ""),
          },
        },
      },
    ]),
  );
}

function doorCodes(route: Route): readonly (keyof typeof platformProblems)[] {
  const codes: (keyof typeof platformProblems)[] = ["request.invalid", "request.rate_limited"];
  if (route.access !== "public")
    codes.push("auth.required", "auth.invalid_credential", "auth.forbidden");
  if (route.schemas.body)
    codes.push(
      "request.malformed_json",
      "request.body_too_large",
      "request.unsupported_media_type",
    );
  if (route.idempotency === "required") codes.push("request.idempotency_key_missing");
  if (route.ifMatch) codes.push("request.precondition_failed");
  if (route.ifMatch === "required") codes.push("request.version_required");
  return [...codes, "server.internal", "server.overloaded", "server.unavailable"];
}

function exampleProblem(status: number, code: string): JsonSchema {
  const known = (platformProblems as Readonly<Record<string, readonly [number, string]>>)[code];
  const words = code.slice(code.indexOf(".") + 1).replaceAll("_", " ");
  const title = known?.[1] ?? words[0]?.toUpperCase() + words.slice(1);
  return { type: `${problemTypePrefix}${code}`, title, status, code };
}

/** Unions of constants are enums to people and to generators. */
function enumerated(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(enumerated);
  if (typeof node !== "object" || node === null) return node;
  const schema = node as Record<string, unknown>;
  const options = schema["anyOf"];
  const constants =
    Array.isArray(options) && options.every((option: JsonSchema) => "const" in option);
  if (constants && options.length > 0) {
    const { anyOf: _anyOf, ...rest } = schema;
    const values = options.map((option: JsonSchema) => option["const"]);
    const type = values.every((value) => typeof value === "string") ? { type: "string" } : {};
    return { ...rest, ...type, enum: values };
  }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, enumerated(value)]));
}

const problemSchema: JsonSchema = {
  type: "object",
  description: "An error answer by RFC 9457. `code` is stable; further members depend on it.",
  required: ["type", "title", "status", "code"],
  properties: {
    type: { type: "string", format: "uri" },
    title: { type: "string" },
    status: { type: "integer" },
    code: { type: "string" },
    detail: { type: "string" },
    instance: { type: "string", format: "uri" },
    errors: {
      type: "array",
      items: {
        type: "object",
        required: ["detail"],
        properties: {
          pointer: { type: "string", description: "JSON pointer into the body" },
          parameter: { type: "string" },
          detail: { type: "string" },
        },
      },
    },
  },
};

const securitySchemes: JsonSchema = {
  secretKey: {
    type: "http",
    scheme: "bearer",
    description: "A brand's secret key, `sk_…`. For servers.",
  },
  publishableKey: {
    type: "http",
    scheme: "bearer",
    description: "A brand's publishable key, `pk_…`. For storefronts.",
  },
  operatorKey: {
    type: "http",
    scheme: "bearer",
    description: "The key of the deployment's operator.",
  },
};

const keyParameter: JsonSchema = {
  name: "Idempotency-Key",
  in: "header",
  description:
    "Names this attempt: sent again with the same body, it takes effect once and gives the same answer.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
  example: "0198c0de-7a31-7b0c-9d55-2f6f4a1e8c11",
};

const matchParameter: JsonSchema = {
  name: "If-Match",
  in: "header",
  description: "The version you have seen, as its ETag said. Another version: 412.",
  schema: { type: "string", pattern: '^(\\*|"[0-9]+")$' },
  example: '"3"',
};

const parameters: JsonSchema = {
  ApiVersion: {
    name: "BrandOS-Version",
    in: "header",
    required: false,
    description: "Date of the API version to answer in.",
    schema: { type: "string", enum: apiVersions, default: currentApiVersion },
  },
  Timeout: {
    name: "BrandOS-Timeout-Ms",
    in: "header",
    required: false,
    description:
      "How long you wait, milliseconds. Shorter than the server's own limit, it ends the work: `server.deadline`.",
    schema: { type: "integer", minimum: 1, maximum: 86_400_000 },
  },
  IdempotencyKey: { ...keyParameter, required: false },
  IdempotencyKeyRequired: { ...keyParameter, required: true },
  IfMatch: { ...matchParameter, required: false },
  IfMatchRequired: { ...matchParameter, required: true },
};

const headers: JsonSchema = {
  RequestId: { description: "Names the request in logs.", schema: { type: "string" } },
  ETag: {
    description: "Version of the representation, where it has one.",
    schema: { type: "string" },
  },
};
