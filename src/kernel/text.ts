/**
 * Finds text that PostgreSQL cannot store: a NUL, or half of a surrogate pair.
 *
 * @param value any JSON-like value; dates and other leaves are passed over
 * @returns the path of the first such text, `variants.0.title`; undefined when all is well
 */
export function findUnstorableText(value: unknown, path = ""): string | undefined {
  if (typeof value === "string") return isStorableText(value) ? undefined : path || "value";
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, member] of Object.entries(value)) {
    if (!isStorableText(key)) return path || "key";
    const found = findUnstorableText(member, path === "" ? key : `${path}.${key}`);
    if (found) return found;
  }
  return undefined;
}

/** Whether PostgreSQL can store a text: no NUL and no half of a surrogate pair. */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}
