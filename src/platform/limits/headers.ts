import { capacityOf, type LimitPolicy } from "./policy.ts";
import type { Verdict } from "./verdict.ts";

/** What a response says of the limits its request was counted against. */
export type LimitHeaders = Readonly<Record<"ratelimit-policy" | "ratelimit", string>>;

const policyItems = new WeakMap<LimitPolicy, string>();

/**
 * Tells of verdicts in headers, all that were asked together.
 *
 * `RateLimit-Policy: "credential";q=100;w=60` says what the limit is, `RateLimit:
 * "credential";r=42;t=17` that no more than 42 may follow in 17 s.
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ version 11
 */
export function limitHeaders(verdicts: readonly Verdict[]): LimitHeaders {
  let policies = "";
  let limits = "";
  for (const verdict of verdicts) {
    const { policy, isAllowed, remaining, resetMs, retryAfterMs } = verdict;
    const comma = policies === "" ? "" : ", ";
    policies += comma + policyItem(policy);
    const seconds = Math.ceil((isAllowed ? resetMs : retryAfterMs) / 1_000);
    limits += `${comma}"${policy.name}";r=${remaining};t=${seconds}`;
  }
  return { "ratelimit-policy": policies, ratelimit: limits };
}

/** Whole seconds after which all of those that refused have enough again, 1 or more: `Retry-After`. */
export function retryAfterSeconds(verdicts: readonly Verdict[]): number {
  const waits = verdicts.map(({ retryAfterMs }) => retryAfterMs);
  return Math.max(1, Math.ceil(Math.max(0, ...waits) / 1_000));
}

function policyItem(policy: LimitPolicy): string {
  const known = policyItems.get(policy);
  if (known !== undefined) return known;
  const window = `;w=${Math.max(1, Math.round(policy.windowMs / 1_000))}`;
  // A limit of those at once has no window.
  const unit = policy.algorithm === "concurrency" ? ';qu="concurrent-requests"' : window;
  const item = `"${policy.name}";q=${capacityOf(policy)}${unit}`;
  policyItems.set(policy, item);
  return item;
}
