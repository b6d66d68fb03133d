/**
 * The outcome of an operation whose failure the caller is expected to handle.
 *
 * Failures are plain data, not exceptions: a rolled-back command can still say why,
 * and the compiler lists every failure a caller has to answer for.
 */
export type Result<Value, F extends Failure = Failure> = Ok<Value> | Failed<F>;

/** The success half of a {@link Result}. */
export interface Ok<Value> {
  readonly ok: true;
  readonly value: Value;
}

/** The refusal half of a {@link Result}. */
export interface Failed<F extends Failure> {
  readonly ok: false;
  readonly failure: F;
}

/** A failure names itself with a stable, documented code, `<module>.<what_went_wrong>`. */
export interface Failure {
  readonly code: string;
}

/** Wraps the value of a success. */
export function ok<Value>(value: Value): Ok<Value> {
  return { ok: true, value };
}

/** Wraps a failure; `const` keeps its code a literal type. */
export function fail<const F extends Failure>(failure: F): Failed<F> {
  return { ok: false, failure };
}
