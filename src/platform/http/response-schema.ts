import type { TSchema } from "typebox";
import type { JsonSchema } from "./validation.ts";

/**
 * A response schema as the serialiser likes it: a union of constants is a plain value, because the
 * serialiser would try each of them by validating.
 */
export function serialisable(schema: TSchema): JsonSchema {
  return simplify(schema) as JsonSchema;
}

function simplify(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(simplify);
  if (typeof node !== "object" || node === null) return node;
  const schema = node as Record<string, unknown>;
  const types = constantTypes(schema["anyOf"]);
  if (types) {
    const { anyOf: _anyOf, ...rest } = schema;
    return types.length === 1 ? { ...rest, type: types[0] } : { ...rest, type: types };
  }
  if ("const" in schema && schema["const"] !== null && typeof schema["const"] !== "object") {
    const { const: value, ...rest } = schema;
    return { ...rest, type: jsonType(value) };
  }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, simplify(value)]));
}

function constantTypes(options: unknown): readonly string[] | undefined {
  if (!Array.isArray(options) || options.length === 0) return undefined;
  const types = options.map((option: JsonSchema) =>
    "const" in option && Object.keys(option).every((key) => key === "const" || key === "type")
      ? jsonType(option["const"])
      : undefined,
  );
  if (types.includes(undefined)) return undefined;
  return [...new Set(types as string[])];
}

function jsonType(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}
