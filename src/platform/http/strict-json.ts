/** Why a text is not acceptable JSON; says where as well as can be told. */
export interface JsonFault {
  readonly detail: string;
  /** JSON pointer of the offending value, where known. */
  readonly pointer?: string;
}

/** What came of reading a text. */
export type JsonRead =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly fault: JsonFault };

/** Deepest nesting of arrays and objects. */
export const jsonDepthMax = 32;

/**
 * Reads JSON as RFC 8259 hopes everybody does, and refuses what implementations disagree on:
 * duplicate names, `__proto__`, nesting beyond {@link jsonDepthMax}, NUL and lone surrogates,
 * numbers that a double cannot hold.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7493 I-JSON
 */
export function readStrictJson(text: string): JsonRead {
  const shape = scan(text);
  if (shape.depth > jsonDepthMax) {
    return refuse(`nested deeper than ${jsonDepthMax} levels`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return refuse(syntaxDetail(error));
  }
  const walk: Walk = { members: 0, fault: undefined, checkText: shape.escapes };
  visit(value, "", walk);
  if (walk.fault) return { ok: false, fault: walk.fault };
  // Every `:` outside a string is a member; the parser keeps only the last of equal names.
  if (walk.members !== shape.members) return refuse("an object has the same name twice");
  return { ok: true, value };
}

function refuse(detail: string): JsonRead {
  return { ok: false, fault: { detail } };
}

interface Shape {
  depth: number;
  members: number;
  /** Whether a `\u` escape occurs: only then can NUL or a lone surrogate be in a string. */
  escapes: boolean;
}

const quote = 0x22;
const backslash = 0x5c;
const letterU = 0x75;

/** One pass over the text, before anything is built from it. */
function scan(text: string): Shape {
  const shape: Shape = { depth: 0, members: 0, escapes: false };
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at + 1, shape);
        break;
      case 0x7b: // {
      case 0x5b: // [
        depth++;
        if (depth > shape.depth) shape.depth = depth;
        if (depth > jsonDepthMax) return shape;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
        break;
      case 0x3a: // :
        shape.members++;
        break;
    }
  }
  return shape;
}

function endOfString(text: string, from: number, shape: Shape): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) return at;
    if (code === backslash) {
      at++;
      if (text.charCodeAt(at) === letterU) shape.escapes = true;
    }
  }
  return at;
}

interface Walk {
  members: number;
  fault: JsonFault | undefined;
  readonly checkText: boolean;
}

function visit(value: unknown, pointer: string, walk: Walk): void {
  if (walk.fault) return;
  if (typeof value === "string") {
    if (walk.checkText && !isPlainText(value)) {
      walk.fault = { pointer, detail: "has a NUL or a lone surrogate" };
    }
  } else if (typeof value === "number") {
    if (!isExact(value)) walk.fault = { pointer, detail: "is beyond what can be held exactly" };
  } else if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      visit(value[index], walk.fault ? "" : `${pointer}/${index}`, walk);
    }
  } else if (typeof value === "object" && value !== null) {
    visitObject(value as Record<string, unknown>, pointer, walk);
  }
}

function visitObject(object: Record<string, unknown>, pointer: string, walk: Walk): void {
  for (const name of Object.keys(object)) {
    walk.members++;
    if (name === "__proto__" || (walk.checkText && !isPlainText(name))) {
      walk.fault ??= { pointer, detail: "has a member with a forbidden name" };
      return;
    }
    const value = object[name];
    // Most members are short texts: no pointer is built for them.
    if (typeof value === "string" && !walk.checkText) continue;
    visit(value, `${pointer}/${escapePointer(name)}`, walk);
  }
}

/** Escapes one step of a JSON pointer. @see https://www.rfc-editor.org/rfc/rfc6901 */
export function escapePointer(name: string): string {
  return /[~/]/.test(name) ? name.replaceAll("~", "~0").replaceAll("/", "~1") : name;
}

/** Whether a text holds no NUL (PostgreSQL refuses it) and no lone surrogate (UTF-8 has none). */
export function isPlainText(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

/** Integers up to 2^53 - 1, and finite fractions. `1e309` reads as infinity, `2^53 + 1` as 2^53. */
function isExact(value: number): boolean {
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
}

function syntaxDetail(error: unknown): string {
  const at = /position (\d+)/.exec(String(error))?.[1];
  return at === undefined ? "not JSON" : `not JSON at character ${at}`;
}
