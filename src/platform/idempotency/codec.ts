/**
 * Writes a command's value as text, so that reading it gives the value back: dates stay dates,
 * `undefined` and big whole numbers survive, the order of fields is kept.
 *
 * @param value plain data: what a command returns
 */
export function encodeOutcome(value: unknown): string {
  return JSON.stringify(tag(value));
}

/** Reads what {@link encodeOutcome} wrote. */
export function decodeOutcome(text: string): unknown {
  return untag(JSON.parse(text));
}

const tagged = /^\$(date|bigint|undefined|escaped)$/;

function tag(value: unknown): unknown {
  if (value === undefined) return { $undefined: 0 };
  if (typeof value === "bigint") return { $bigint: value.toString() };
  if (value instanceof Date) return { $date: value.toISOString() };
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(tag);
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => [key, tag(item)] as const);
  const plain = Object.fromEntries(entries);
  return entries.length === 1 && tagged.test(entries[0]?.[0] ?? "") ? { $escaped: plain } : plain;
}

function untag(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(untag);
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length === 1 && only && tagged.test(only[0])) return revive(only[0], only[1]);
  return Object.fromEntries(entries.map(([key, item]) => [key, untag(item)]));
}

function revive(kind: string, value: unknown): unknown {
  if (kind === "$date") return new Date(String(value));
  if (kind === "$bigint") return BigInt(String(value));
  if (kind === "$undefined") return undefined;
  const inner = Object.entries(value as object).map(([key, item]) => [key, untag(item)] as const);
  return Object.fromEntries(inner);
}
