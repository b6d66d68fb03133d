import { createHash } from "node:crypto";

/** A parameterised statement, ready to run: made by {@link sql}. */
export interface Statement {
  /** Name of the prepared statement; `module.what_it_does`, unique in the code base. */
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** A piece of a statement whose values stay bind parameters: made by {@link fragment}. */
export interface Fragment {
  readonly kind: "fragment";
  readonly strings: readonly string[];
  readonly values: readonly unknown[];
}

/** Tags a template as one statement. */
export type StatementTag = (
  strings: TemplateStringsArray,
  ...values: readonly unknown[]
) => Statement;

const texts = new WeakMap<TemplateStringsArray, string>();
const variantNames = new Map<string, string>();
const variantsMax = 2_000;

/**
 * Names a statement; the template that follows it is prepared once per connection.
 *
 * Every interpolation is a bind parameter, except a {@link fragment}, which is spliced in with its
 * own parameters; each distinct combination of fragments is a prepared statement of its own.
 * @example tx.rows<Row>(sql("orders.find")`select * from orders where id = ${id}`)
 */
export function sql(name: string): StatementTag {
  return (strings, ...values) => {
    if (values.some(isFragment)) return spliced(name, strings, values);
    let text = texts.get(strings);
    if (text === undefined) {
      text = strings.reduce((before, part, index) => `${before}$${index}${part}`);
      texts.set(strings, text);
    }
    return { name, text, values };
  };
}

/** A piece to splice into a statement: `where ${status ? fragment`status = ${status}` : all}`. */
export function fragment(strings: TemplateStringsArray, ...values: readonly unknown[]): Fragment {
  return { kind: "fragment", strings, values };
}

/** Joins pieces with a piece of SQL between them, `and` for conditions. */
export function joinFragments(parts: readonly Fragment[], separator: " and " | ", "): Fragment {
  const strings: string[] = [""];
  const values: unknown[] = [];
  for (const [index, part] of parts.entries()) {
    strings[strings.length - 1] += index > 0 ? separator : "";
    strings[strings.length - 1] += part.strings[0] ?? "";
    for (const [at, value] of part.values.entries()) {
      values.push(value);
      strings.push(part.strings[at + 1] ?? "");
    }
  }
  return { kind: "fragment", strings, values };
}

function isFragment(value: unknown): value is Fragment {
  return typeof value === "object" && value !== null && (value as Fragment).kind === "fragment";
}

function spliced(name: string, strings: readonly string[], values: readonly unknown[]): Statement {
  const bound: unknown[] = [];
  const text = splice(strings, values, bound);
  return { name: variantName(name, text), text, values: bound };
}

function splice(strings: readonly string[], values: readonly unknown[], bound: unknown[]): string {
  let text = strings[0] ?? "";
  for (const [index, value] of values.entries()) {
    if (isFragment(value)) text += splice(value.strings, value.values, bound);
    else text += `$${bound.push(value)}`;
    text += strings[index + 1] ?? "";
  }
  return text;
}

function variantName(name: string, text: string): string {
  const known = variantNames.get(text);
  if (known) return known;
  const made = `${name}:${createHash("sha256").update(text).digest("hex").slice(0, 10)}`;
  // Fragments come from code, never from input, so their number is bounded; the cap is a backstop.
  if (variantNames.size < variantsMax) variantNames.set(text, made);
  return made;
}
