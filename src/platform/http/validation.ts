import type { TSchema } from "typebox";
import { Format } from "typebox/format";
import * as Schema from "typebox/schema";
import type { ProblemPart } from "./problem.ts";
import { isPlainText } from "./strict-json.ts";

// RFC 3339 allows leap seconds and the 30th of February's cousins; a Date does not hold them.
const isDateTime = Format.Get("date-time");
Format.Set("date-time", (text) => isDateTime?.(text) === true && !Number.isNaN(Date.parse(text)));

/** A schema as plain JSON. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** Checks one part of a request against its schema. */
export interface PartValidator {
  /** @returns what is wrong, at most {@link problemPartsMax} things; empty when nothing is */
  check(value: unknown): readonly ProblemPart[];
}

/** Problems listed in one answer at most. */
export const problemPartsMax = 20;

/**
 * Compiles a schema of a request part. Objects are closed: fields the schema does not name are
 * refused, so that a misspelt field is a mistake and not silence.
 *
 * @param locate turns the path of a fault into its place in the request
 */
export function compilePart(schema: TSchema, part: "body" | "parameter"): PartValidator {
  const validator = Schema.Compile(closed(schema as unknown as JsonSchema));
  return {
    check(value) {
      if (validator.Check(value)) return [];
      const [, errors] = validator.Errors(value);
      const parts = new Map<string, ProblemPart>();
      for (const error of errors) {
        if (parts.size >= problemPartsMax) break;
        for (const found of partsOf(error as unknown as SchemaError, part)) {
          // The first fault at a place explains it; the `anyOf` above it only repeats it.
          const place = found.pointer ?? found.parameter ?? "";
          if (!parts.has(place)) parts.set(place, found);
        }
      }
      if (parts.size > 0) return [...parts.values()];
      return [
        part === "body" ? { pointer: "", detail: "does not match" } : { detail: "does not match" },
      ];
    },
  };
}

interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: {
    readonly requiredProperties?: readonly string[];
    readonly additionalProperties?: readonly string[];
    readonly unevaluatedProperties?: readonly (string | number)[];
    readonly allowedValue?: unknown;
  };
}

function partsOf(error: SchemaError, part: "body" | "parameter"): ProblemPart[] {
  const at = (path: string, detail: string): ProblemPart =>
    part === "body" ? { pointer: path, detail } : { parameter: path.slice(1), detail };
  const { keyword, instancePath, params } = error;
  if (keyword === "boolean") return [at(instancePath, "is not a known field")];
  if (keyword === "additionalProperties" || keyword === "unevaluatedProperties") return [];
  if (keyword === "required") {
    const missing = params.requiredProperties ?? [];
    return missing.map((name) => at(`${instancePath}/${name}`, "is required"));
  }
  if (keyword === "const") return [at(instancePath, "is not one of the allowed values")];
  return [at(instancePath, error.message)];
}

/** Closes every object schema that does not say otherwise. */
export function closed(schema: JsonSchema): JsonSchema {
  return close(schema, false) as JsonSchema;
}

function close(node: unknown, merged: boolean): unknown {
  if (Array.isArray(node)) return node.map((item) => close(item, merged));
  if (typeof node !== "object" || node === null) return node;
  const schema = node as Record<string, unknown>;
  const copy: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === "properties" || keyword === "patternProperties" || keyword === "$defs") {
      copy[keyword] = mapValues(value as Record<string, unknown>);
    } else if (keyword === "allOf") {
      copy[keyword] = close(value, true);
    } else if (/^(const|enum|default|examples?|required|description|title)$/.test(keyword)) {
      copy[keyword] = value;
    } else copy[keyword] = close(value, merged && /^(anyOf|oneOf)$/.test(keyword));
  }
  // Members of an intersection see each other's fields: only the whole is closed.
  if ("allOf" in schema && !merged) copy["unevaluatedProperties"] ??= false;
  else if ("properties" in schema && !merged && !("patternProperties" in schema)) {
    copy["additionalProperties"] ??= false;
  }
  return copy;
}

function mapValues(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, close(value, false)]),
  );
}

/** Reads the texts of a query or path into what the schema says, strictly. */
export type ParameterReader = (raw: Readonly<Record<string, unknown>>) => Record<string, unknown>;

type Kind = "string" | "integer" | "number" | "boolean" | "array";

/**
 * Makes a reader of parameters: digits become numbers where the schema wants numbers, a repeated
 * or comma-separated parameter becomes an array where it wants an array; everything else stays a
 * text for the validator to refuse.
 */
export function parameterReader(schema: TSchema): ParameterReader {
  const properties = (schema as unknown as JsonSchema)["properties"] as Record<string, JsonSchema>;
  const kinds = new Map(
    Object.entries(properties ?? {}).map(
      ([name, property]) => [name, readersOf(property)] as const,
    ),
  );
  return (raw) => {
    const values: Record<string, unknown> = {};
    for (const name of Object.keys(raw)) values[name] = (kinds.get(name) ?? asIs)(raw[name]);
    return values;
  };
}

type ValueReader = (value: unknown) => unknown;

const asIs: ValueReader = (value) => value;

function readersOf(schema: JsonSchema): ValueReader {
  const kind = kindOf(schema);
  if (kind === "array") {
    const item = readersOf((schema["items"] as JsonSchema) ?? {});
    return (value) => {
      const list = Array.isArray(value)
        ? value
        : typeof value === "string"
          ? value.split(",")
          : value;
      return Array.isArray(list) ? list.map(item) : list;
    };
  }
  if (kind === "integer" || kind === "number") return readNumber;
  if (kind === "boolean") return readBoolean;
  return asIs;
}

function kindOf(schema: JsonSchema): Kind {
  const type = schema["type"];
  if (typeof type === "string") return type as Kind;
  const options = (schema["anyOf"] ?? schema["oneOf"]) as readonly JsonSchema[] | undefined;
  const kinds = new Set(options?.map(kindOf));
  return kinds.size === 1 ? ([...kinds][0] as Kind) : "string";
}

function readNumber(value: unknown): unknown {
  if (typeof value !== "string" || !/^-?\d{1,16}(\.\d{1,16})?$/.test(value)) return value;
  return Number(value);
}

function readBoolean(value: unknown): unknown {
  if (value === "true") return true;
  return value === "false" ? false : value;
}

/** Names of parameters whose text holds a NUL or a lone surrogate. */
export function unclearParameters(raw: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(raw).filter((name) => {
    const value = raw[name];
    const texts = Array.isArray(value) ? value : [value];
    return (
      !isPlainText(name) || texts.some((text) => typeof text === "string" && !isPlainText(text))
    );
  });
}
