/** Parts of a value that are looked at; beyond, the rest is taken to be like what was seen. */
const partsMax = 1_000;

/**
 * Estimates what a value takes in memory, in bytes: text at two bytes a character, 8 for a number, 16
 * and its name for each field. A guess that orders values rightly; give `sizeOf` where it matters.
 */
export function estimateBytes(value: unknown): number {
  const waiting: unknown[] = [value];
  let bytes = 0;
  let parts = 0;
  for (let next = waiting.pop(); parts < partsMax; next = waiting.pop()) {
    parts++;
    bytes += bytesOf(next, waiting);
    if (waiting.length === 0) return bytes;
  }
  return Math.ceil((bytes * (parts + waiting.length)) / parts);
}

function bytesOf(value: unknown, waiting: unknown[]): number {
  if (typeof value === "string") return 16 + value.length * 2;
  if (typeof value !== "object" || value === null) return 8;
  if (ArrayBuffer.isView(value)) return 64 + value.byteLength;
  if (value instanceof Map || value instanceof Set) {
    for (const part of value) waiting.push(part);
    return 64 + value.size * 16;
  }
  if (Array.isArray(value)) {
    for (const part of value) waiting.push(part);
    return 16 + value.length * 8;
  }
  const names = Object.keys(value);
  for (const name of names) waiting.push((value as Record<string, unknown>)[name]);
  return 24 + names.length * 16;
}
