import type { Id } from "../../kernel/ids.ts";
import type { Failure } from "../../kernel/result.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";

/** Names a journal transaction; made by whoever posts it, so that a retry is the same posting. */
export type JournalId = Id<"journal">;

/** Names a hold on a floored account; made by the caller. */
export type HoldId = Id<"ledger hold">;

/** Which way an account's balance normally points: debit for assets and expenses, else credit. */
export type AccountKind = "asset" | "liability" | "equity" | "income" | "expense";

/** One leg of a journal transaction. */
export interface JournalEntry {
  /** Account code, `receivable` or `provider:cards`. */
  readonly account: string;
  /** Signed minor units: a debit is positive, a credit negative; zero legs are dropped. */
  readonly amountMinor: number;
  /** ISO 4217 code. */
  readonly currency: string;
  /** Kind of an account that {@link chartOfAccounts} does not know, for its first use. */
  readonly kind?: AccountKind;
}

/** A journal transaction: legs that sum to zero in every currency. */
export interface Journal {
  readonly id: JournalId;
  /** What happened, `order.placed`. */
  readonly kind: string;
  readonly description: string;
  /** What it is about, `order:<uuid>`; lists find journals by it. */
  readonly reference?: string;
  /** When it happened in the world; imports post the past. */
  readonly occurredAt: Date;
  /** 2 to {@link entriesMax} legs. */
  readonly entries: readonly JournalEntry[];
}

/** A journal that was posted, as lists show it. */
export interface PostedJournal extends Omit<Journal, "entries"> {
  readonly recordedAt: Date;
  readonly entries: readonly Omit<JournalEntry, "kind">[];
}

/** Most legs of one journal. */
export const entriesMax = 1_000;
/** Largest magnitude of one leg, minor units: balances stay exact in a double for ever. */
export const amountMinorMax = 10_000_000_000_000;

/** What posting came to. */
export interface Posting {
  readonly journalId: JournalId;
  /** True when it had been posted before with the same content. */
  readonly repeated: boolean;
}

/** An account; one per code and currency, opened by its first use or beforehand. */
export interface Account {
  readonly code: string;
  readonly currency: string;
  readonly kind: AccountKind;
  /** Lowest balance in the account's normal sense, holds deducted; absent: no limit. */
  readonly floorMinor?: number;
}

/** An account with its balance. */
export interface AccountBalance extends Account {
  /** Sum of its entries: debits minus credits. */
  readonly balanceMinor: number;
  /** The balance in the account's normal sense. */
  readonly normalBalanceMinor: number;
  /** Promised to active holds; only floored accounts have any. */
  readonly heldMinor: number;
}

/** One line of an account's statement. */
export interface StatementLine {
  readonly journalId: JournalId;
  readonly kind: string;
  readonly description: string;
  readonly reference?: string;
  readonly occurredAt: Date;
  readonly amountMinor: number;
  /** Balance after this entry, debits minus credits. */
  readonly balanceMinor: number;
}

/** The trial balance: every account, and per currency totals whose difference is zero. */
export interface TrialBalance {
  readonly accounts: readonly TrialBalanceRow[];
  readonly totals: readonly TrialBalanceTotal[];
}

/** One account in the trial balance. */
export interface TrialBalanceRow {
  readonly code: string;
  readonly currency: string;
  readonly kind: AccountKind;
  readonly debitMinor: number;
  /** Magnitude of the credits. */
  readonly creditMinor: number;
  readonly balanceMinor: number;
}

/** One currency's totals. */
export interface TrialBalanceTotal {
  readonly currency: string;
  readonly debitMinor: number;
  readonly creditMinor: number;
  /** Debits minus credits: 0, or the ledger is broken. */
  readonly differenceMinor: number;
}

/** Part of a floored account's balance that is promised. */
export interface Hold {
  readonly id: HoldId;
  readonly account: string;
  readonly currency: string;
  readonly amountMinor: number;
  /** What journals have taken out of it. */
  readonly postedMinor: number;
  readonly state: "active" | "posted" | "released";
  readonly reference?: string;
}

/** What a check of the hash chain found. */
export interface ChainReport {
  readonly intact: boolean;
  readonly sealsChecked: number;
  readonly entriesChecked: number;
  /** Entries that came after the last seal. */
  readonly entriesUnsealed: number;
  /** Hash of the last seal, hex: keep it elsewhere to notice a chain rewritten as a whole. */
  readonly head: string;
  /** Number of the first seal that does not fit its entries or its predecessor. */
  readonly brokenSeal?: number;
}

/**
 * Accounts that need no opening: kind by code, or by the part before the first colon
 * (`provider:cards`).
 */
export const chartOfAccounts: Readonly<Record<string, AccountKind>> = {
  receivable: "asset",
  provider: "asset",
  bank: "asset",
  cash: "asset",
  inventory: "asset",
  sales: "income",
  sales_returns: "income",
  shipping_revenue: "income",
  charges_revenue: "income",
  tax_payable: "liability",
  refunds_payable: "liability",
  customer_credit: "liability",
  wallet: "liability",
  gift_card: "liability",
  deferred_revenue: "liability",
  provider_fees: "expense",
  chargebacks: "expense",
  bad_debt: "expense",
  rounding: "expense",
  cost_of_goods_sold: "expense",
  adjustments: "expense",
  retained_earnings: "equity",
  opening_balance: "equity",
};

/** Why a journal is refused. */
export type PostFailure =
  | { readonly code: "ledger.no_entries"; readonly journalId: JournalId }
  | { readonly code: "ledger.bad_entry"; readonly journalId: JournalId; readonly line: number }
  | {
      readonly code: "ledger.unbalanced";
      readonly journalId: JournalId;
      readonly currency: string;
      readonly differenceMinor: number;
    }
  | { readonly code: "ledger.unknown_account"; readonly account: string; readonly currency: string }
  | { readonly code: "ledger.journal_differs"; readonly journalId: JournalId }
  | { readonly code: "ledger.insufficient_funds"; readonly journalId: JournalId };

/** Why a hold is refused. */
export type HoldFailure =
  | { readonly code: "ledger.insufficient_funds"; readonly account: string }
  | { readonly code: "ledger.no_floor"; readonly account: string }
  | { readonly code: "ledger.hold_differs"; readonly holdId: HoldId }
  | { readonly code: "ledger.hold_not_found"; readonly holdId: HoldId }
  | { readonly code: "ledger.hold_closed"; readonly holdId: HoldId }
  | {
      readonly code: "ledger.hold_exceeded";
      readonly holdId: HoldId;
      readonly remainingMinor: number;
    };

/** Why an account cannot be opened or shown. */
export type AccountFailure =
  | { readonly code: "ledger.account_differs"; readonly account: string }
  | { readonly code: "ledger.bad_account"; readonly account: string }
  | { readonly code: "ledger.account_not_found"; readonly account: string };

/** Everything the ledger refuses with. */
export type LedgerFailure = PostFailure | HoldFailure | AccountFailure;

/** HTTP status of every failure. */
export const ledgerFailureStatuses: FailureStatuses<LedgerFailure & Failure> = {
  "ledger.no_entries": 422,
  "ledger.bad_entry": 422,
  "ledger.unbalanced": 422,
  "ledger.unknown_account": 422,
  "ledger.journal_differs": 409,
  "ledger.insufficient_funds": 409,
  "ledger.no_floor": 422,
  "ledger.hold_differs": 409,
  "ledger.hold_not_found": 404,
  "ledger.hold_closed": 409,
  "ledger.hold_exceeded": 409,
  "ledger.account_differs": 409,
  "ledger.bad_account": 422,
  "ledger.account_not_found": 404,
};

/** Data of each event the ledger appends, by type. */
export interface LedgerEvents {
  /** A journal posted by itself; one posted inside a flow is told by the flow's own event. */
  readonly "ledger.journal_posted": {
    readonly journalId: JournalId;
    readonly kind: string;
    readonly reference?: string;
  };
  readonly "ledger.hold_placed": {
    readonly holdId: HoldId;
    readonly account: string;
    readonly amountMinor: number;
    readonly currency: string;
  };
  readonly "ledger.hold_posted": { readonly holdId: HoldId; readonly journalId: JournalId };
  readonly "ledger.hold_released": { readonly holdId: HoldId };
  /** The hash is the chain's head: whoever keeps the event log can tell a rewritten chain. */
  readonly "ledger.sealed": {
    readonly number: number;
    readonly entries: number;
    readonly hash: string;
  };
}

/** Types of the events the ledger appends. */
export const ledgerEventTypes: readonly (keyof LedgerEvents)[] = [
  "ledger.journal_posted",
  "ledger.hold_placed",
  "ledger.hold_posted",
  "ledger.hold_released",
  "ledger.sealed",
];
