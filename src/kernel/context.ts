import type { TenantId } from "./ids.ts";

/** Who acts: a key, a person, or the system itself on a schedule. */
export interface Actor {
  readonly kind: "api_key" | "customer" | "operator" | "system";
  readonly id: string;
}

/** What makes a retried request recognisable: it takes effect once. */
export interface IdempotencyClaim {
  /** The caller's `Idempotency-Key`, 1 to 255 characters. */
  readonly key: string;
  /** Whose key it is: two callers may use the same one for different things. */
  readonly principal: string;
  /** Operation the key belongs to: `POST /v1/orders`. */
  readonly route: string;
  /** SHA-256 of what was asked, hex: another body under the same key is refused. */
  readonly fingerprint: string;
}

/**
 * What every command is told about its caller: an explicit value, handed down, never global.
 */
export interface Context {
  readonly tenantId: TenantId;
  readonly actor: Actor;
  /** Correlation id: the same in logs, events, jobs and the answer's `x-request-id`. */
  readonly requestId: string;
  /** W3C trace context of the caller. @see https://www.w3.org/TR/trace-context/ */
  readonly traceparent?: string;
  /** Moment after which nobody waits for the answer, milliseconds of `performance.now()`. */
  readonly deadlineMs?: number;
  /** Aborts when the caller goes away. */
  readonly signal?: AbortSignal;
  /** The moment this work stands for, when history is imported; absent: now. */
  readonly occurredAt?: Date;
  /** Present when the caller sent an `Idempotency-Key`; a unit of work honours it. */
  readonly idempotency?: IdempotencyClaim;
}

/** The context of work the system starts by itself. */
export function systemContext(tenantId: TenantId, requestId: string): Context {
  return { tenantId, actor: { kind: "system", id: "system" }, requestId };
}
