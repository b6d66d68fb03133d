import { assert } from "../../kernel/assert.ts";

/** Limits of leases. */
export const leaseLimits = {
  /** Milliseconds. Shorter ones are lost to a pause of the garbage collector. */
  leaseMinMs: 100,
  /** Milliseconds. Longer ones keep others out for too long when their holder dies. */
  leaseMaxMs: 600_000,
  nameLengthMax: 200,
} as const;

/** How much two clocks may drift apart during a lease: a hundredth of it, and their resolution. */
export function driftMs(leaseMs: number): number {
  return leaseMs / 100 + 2;
}

/**
 * Until when a lease surely lasts that a store granted for `leaseMs` by its own clock.
 *
 * @param askedAtMs `performance.now()` before the store was asked: its clock cannot have begun earlier
 */
export function validUntilMs(askedAtMs: number, leaseMs: number): number {
  return askedAtMs + leaseMs - driftMs(leaseMs);
}

/**
 * When to renew next: after a third of the lease; sooner again after a failure, several times
 * before the lease is over.
 *
 * @returns milliseconds from now
 */
export function renewInMs(leaseMs: number, hasFailed: boolean): number {
  return hasFailed ? leaseMs / 15 : leaseMs / 3;
}

/** How many of some nodes are a majority. */
export function quorumOf(nodes: number): number {
  return Math.floor(nodes / 2) + 1;
}

/** @throws AssertionError when a name or a lease is out of bounds */
export function checkLease(name: string, leaseMs: number): void {
  const { leaseMinMs, leaseMaxMs, nameLengthMax } = leaseLimits;
  assert(
    name.length > 0 && name.length <= nameLengthMax,
    `a lock's name has 1 to ${nameLengthMax} characters`,
  );
  const fits = leaseMs >= leaseMinMs && leaseMs <= leaseMaxMs;
  assert(fits, `a lease lasts ${leaseMinMs} to ${leaseMaxMs} ms, not ${leaseMs}`);
}
