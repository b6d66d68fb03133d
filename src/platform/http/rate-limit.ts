import type { FastifyReply, FastifyRequest } from "fastify";
import {
  type LimitAsk,
  type Limiter,
  type LimitPolicy,
  limitHeaders,
  type MaybePromise,
  retryAfterSeconds,
  type Verdict,
} from "../limits/limits.ts";
import { addressGroup } from "./address-group.ts";
import type { HttpLimits } from "./limits.ts";
import type { Metrics } from "./metrics.ts";
import type { Principal } from "./principal.ts";
import { problemError } from "./problem.ts";
import type { Route } from "./route.ts";

/** Limits of requests, shared by all servers whose limiter has the same store. */
export interface RateLimits {
  /**
   * Counts a request against its caller, and its brand. Answers at once where the limiter does.
   *
   * @param principal absent on public routes, and for a credential that is none
   * @throws ProblemError request.rate_limited, also as a rejection
   */
  count(request: FastifyRequest, reply: FastifyReply, who: Counted): MaybePromise<void>;
  /**
   * Takes one of the brand's places for exports, until the answer is out.
   *
   * @throws ProblemError request.rate_limited
   */
  enterExport(reply: FastifyReply, principal: Principal): Promise<void>;
}

/** Whom a request is counted against. */
export interface Counted {
  readonly route: Route;
  readonly principal: Principal | undefined;
}

const windowMs = 60_000;
/** A twentieth of a limit at a time, for a second: what three servers took ahead is 3/20 of it. */
const lease = { share: 0.05, ms: 1_000 } as const;
/** How long the place of a server that died stays taken. */
const exportPlaceMs = 30_000;

/** The limits of a server; a limit of 0 is absent. */
function policiesOf(limits: HttpLimits) {
  const perMinute = (name: string, limit: number): PerClass | undefined => {
    if (limit === 0) return undefined;
    const policy = { name, algorithm: "fixed_window", limit, windowMs, lease } as const;
    return {
      open: { ...policy, fallback: "open" },
      strict: { ...policy, fallback: "strict" },
    };
  };
  const exports: LimitPolicy | undefined =
    limits.exportsMax === 0
      ? undefined
      : {
          name: "exports",
          algorithm: "concurrency",
          limit: limits.exportsMax,
          windowMs: exportPlaceMs,
        };
  return {
    credential: perMinute("credential", limits.ratePerMinute),
    address: perMinute("address", limits.anonymousRatePerMinute),
    tenant: perMinute("tenant", limits.tenantRatePerMinute),
    shopper: perMinute("shopper", limits.shopperRatePerMinute),
    exports,
  };
}

/** A policy by what happens while the store is away. */
interface PerClass {
  readonly open: LimitPolicy;
  readonly strict: LimitPolicy;
}

/**
 * Makes the limits of a server. Requests are counted in minutes per credential and brand; per address
 * without a good credential; and per address where shoppers pay.
 */
export function createRateLimits(
  limiter: Limiter,
  limits: HttpLimits,
  metrics: Pick<Metrics, "refused" | "limitedAlone">,
): RateLimits {
  const policies = policiesOf(limits);
  const observe = (verdicts: readonly Verdict[]): void => {
    for (const { policy, isAllowed, source } of verdicts) {
      if (source === "fallback") metrics.limitedAlone(policy.name);
      if (!isAllowed) metrics.refused(policy.name, source);
    }
  };
  const conclude = (reply: FastifyReply, verdicts: readonly Verdict[]): void => {
    observe(verdicts);
    const refused = verdicts.some(({ isAllowed }) => !isAllowed);
    if (refused) throw refusal(reply, verdicts);
    reply.headers(limitHeaders(verdicts));
  };

  const asksOf = (request: FastifyRequest, { route, principal }: Counted): readonly LimitAsk[] => {
    const asks: LimitAsk[] = [];
    const add = (policy: PerClass | undefined, key: string, kind: "open" | "strict") => {
      if (policy) asks.push({ policy: policy[kind], key });
    };
    const kind = route.limits ?? "open";
    if (!principal) {
      // Whoever guesses keys is limited strictly, whatever it asks for.
      add(policies.address, addressGroup(request.ip), route.access === "public" ? kind : "strict");
      return asks;
    }
    const { tenantId, actor } = principal;
    add(policies.credential, actor.id, kind);
    if (tenantId === undefined) return asks;
    add(policies.tenant, tenantId, kind);
    // A publishable key is everybody's: who tries cards is told apart by the address.
    const isShopper = kind === "strict" && principal.kind === "publishable";
    if (isShopper) add(policies.shopper, `${tenantId} ${addressGroup(request.ip)}`, kind);
    return asks;
  };

  return {
    count(request, reply, who) {
      const asks = asksOf(request, who);
      if (asks.length === 0) return undefined;
      const verdicts = limiter.takeAll(asks);
      if (verdicts instanceof Promise) return verdicts.then((told) => conclude(reply, told));
      return conclude(reply, verdicts);
    },
    async enterExport(reply, { tenantId = "" }) {
      if (!policies.exports) return;
      const { verdict, place } = await limiter.enter(policies.exports, tenantId);
      observe([verdict]);
      if (!place) throw refusal(reply, [verdict]);
      const release = () => void place.release();
      if (reply.raw.destroyed) release();
      else reply.raw.once("close", release);
    },
  };
}

function refusal(reply: FastifyReply, verdicts: readonly Verdict[]): Error {
  reply.headers(limitHeaders(verdicts));
  const names = verdicts.map(({ policy }) => policy.name);
  const [first] = verdicts;
  const detail =
    first?.policy.algorithm === "concurrency"
      ? `${first.limit} at once are as many as there may be`
      : `the limit of ${first?.limit} requests a minute is used up`;
  return problemError("request.rate_limited", {
    detail,
    "violated-policies": names,
    retryAfterSeconds: retryAfterSeconds(verdicts),
  });
}
