import type { Clock } from "../../kernel/clock.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import type { EventOrigin } from "../../platform/events/events.ts";
import type { UnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import {
  type PaymentAdvance,
  type PaymentJournal,
  PaymentProviderError,
  type WebhookFailure,
} from "./contract.ts";
import type { PaymentProvider } from "./provider.ts";

/** Stated limits of the module; each has a default. */
export interface PaymentLimits {
  /** Times a charge is sent in one call, the first included, before it is left to a later call. */
  readonly sendsMax: number;
  /** How long a payment may wait before the sweeper asks about it, milliseconds. */
  readonly graceMs: number;
  /** After this long an intent nobody pursues is given up at the provider, milliseconds. */
  readonly abandonMs: number;
  /** After this long without an outcome a person is told, milliseconds. */
  readonly unresolvedMs: number;
  /** Payments the sweeper asks about at once. */
  readonly sweepParallelMax: number;
}

/** The limits of a module that names none. */
export const paymentDefaults: PaymentLimits = {
  sendsMax: 2,
  graceMs: 20_000,
  abandonMs: 15 * 60_000,
  unresolvedMs: 60 * 60_000,
  sweepParallelMax: 8,
};

/** A journal together with who caused it. */
export interface AttributedPaymentJournal {
  readonly origin: EventOrigin;
  readonly journal: PaymentJournal;
}

/** What the module needs from outside; the composition root provides it. */
export interface PaymentsDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly providers: readonly PaymentProvider[];
  /** Honours the `Idempotency-Key` of captures, voids and refunds. */
  readonly uow: UnitOfWork;
  /**
   * Posts journals in the caller's transaction, under the payments' row locks.
   * @throws to fail the transaction
   */
  readonly postJournals: (
    tx: TenantTx,
    rows: readonly AttributedPaymentJournal[],
  ) => void | Promise<void>;
  /**
   * Called in the transaction of every advance that this module makes on its own (notices, returning
   * buyers, the sweeper), so that the order moves in the same commit. Not called by
   * `advancePayments`: whoever calls that has the outcomes in hand.
   */
  readonly onAdvanced?: (
    tx: TenantTx,
    origin: EventOrigin,
    advances: readonly PaymentAdvance[],
  ) => Promise<void>;
  readonly limits?: Partial<PaymentLimits>;
  /** Called at named places, so that tests can stop the world there. */
  readonly failpoint?: (name: PaymentFailpoint) => void | Promise<void>;
}

/**
 * How transactions that move money run. Whoever waited for a payment's lock starts again on a fresh
 * snapshot, so that many who want the same payment need many attempts.
 */
export const moneyWork = { isolation: "repeatable read", attemptsMax: 25 } as const;

/** Places where a crash must lose nothing. */
export type PaymentFailpoint =
  | "payments.before_intent"
  | "payments.before_call"
  | "payments.after_call"
  | "payments.before_record";

/** The dependencies with every default filled in. */
export interface Kit extends PaymentsDeps {
  readonly providerOf: (name: string) => Result<PaymentProvider, WebhookFailure>;
  readonly bounds: PaymentLimits;
  readonly reach: (name: PaymentFailpoint) => Promise<void>;
}

/** Fills in defaults. */
export function toKit(deps: PaymentsDeps): Kit {
  const byName = new Map(deps.providers.map((provider) => [provider.name, provider]));
  return {
    ...deps,
    providerOf(name) {
      const provider = byName.get(name);
      return provider ? ok(provider) : fail({ code: "payments.unknown_provider", provider: name });
    },
    bounds: { ...paymentDefaults, ...deps.limits },
    reach: async (name) => {
      await deps.failpoint?.(name);
    },
  };
}

/** Finds the provider of a recorded payment. @throws PaymentProviderError when it is not configured any more */
export function configuredProvider(kit: Kit, name: string): PaymentProvider {
  const provider = kit.providerOf(name);
  if (provider.ok) return provider.value;
  const message = `payment provider ${name} is not configured`;
  throw new PaymentProviderError("ERR_PAYMENT_PROVIDER_MISCONFIGURED", message);
}
