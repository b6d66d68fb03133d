/** Thrown when the program contradicts itself. Never caught except to crash loudly. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Checks an invariant. A false condition is a bug in this program, not a user's mistake. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`assertion failed: ${invariant}`);
}

/** Unwraps a value that cannot be absent. @throws AssertionError when it is */
export function present<Value>(value: Value | null | undefined, what: string): Value {
  if (value === null || value === undefined) throw new AssertionError(`missing: ${what}`);
  return value;
}

/** Makes a switch exhaustive: adding a case to the union breaks the build here. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
