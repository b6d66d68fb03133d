import { createHash } from "node:crypto";
import { fail, ok, type Result } from "../../kernel/result.ts";
import {
  type AccountKind,
  amountMinorMax,
  chartOfAccounts,
  entriesMax,
  type Journal,
  type JournalEntry,
  type PostFailure,
} from "./contract.ts";

const codeForm = /^[a-z][a-z0-9_.:-]{0,119}$/;
const currencyForm = /^[A-Z]{3}$/;

/** Whether a text can be an account's code. */
export function isAccountCode(text: string): boolean {
  return codeForm.test(text);
}

/** Whether a text can be a currency's code. */
export function isCurrencyCode(text: string): boolean {
  return currencyForm.test(text);
}

/** Checks a journal without asking the database. Zero legs are dropped. */
export function checkJournal(journal: Journal): Result<Journal, PostFailure> {
  const journalId = journal.id;
  const sums = new Map<string, bigint>();
  for (const [line, entry] of journal.entries.entries()) {
    if (!isEntry(entry)) return fail({ code: "ledger.bad_entry", journalId, line });
    const sum = (sums.get(entry.currency) ?? 0n) + BigInt(entry.amountMinor);
    sums.set(entry.currency, sum);
  }
  for (const [currency, difference] of sums) {
    if (difference === 0n) continue;
    const differenceMinor = Number(difference);
    return fail({ code: "ledger.unbalanced", journalId, currency, differenceMinor });
  }
  const entries = journal.entries.filter((entry) => entry.amountMinor !== 0);
  if (entries.length === 0) return fail({ code: "ledger.no_entries", journalId });
  if (entries.length > entriesMax) {
    return fail({ code: "ledger.bad_entry", journalId, line: entriesMax });
  }
  return ok({ ...journal, entries });
}

function isEntry({ account, amountMinor, currency }: JournalEntry): boolean {
  const exact = Number.isSafeInteger(amountMinor) && Math.abs(amountMinor) <= amountMinorMax;
  return exact && isAccountCode(account) && isCurrencyCode(currency);
}

/** Kind of an account: as the entry says, or as the chart knows it; undefined when neither does. */
export function kindOfAccount(entry: JournalEntry): AccountKind | undefined {
  if (entry.kind) return entry.kind;
  const colon = entry.account.indexOf(":");
  const head = colon < 0 ? entry.account : entry.account.slice(0, colon);
  return Object.hasOwn(chartOfAccounts, head) ? chartOfAccounts[head] : undefined;
}

/**
 * Fingerprint of what a journal says, to tell a repeat from another content under the same id.
 *
 * @returns the first 128 bits of a SHA-256 in the form of a UUID
 */
export function contentOf(journal: Journal): string {
  const said = JSON.stringify([
    journal.kind,
    journal.description,
    journal.reference ?? null,
    journal.occurredAt.getTime(),
    journal.entries.map((entry) => [entry.account, entry.currency, entry.amountMinor]),
  ]);
  const hex = createHash("sha256").update(said).digest("hex");
  const at = [0, 8, 12, 16, 20, 32];
  return at
    .slice(1)
    .map((end, index) => hex.slice(at[index], end))
    .join("-");
}

/** A balance in the account's normal sense: positive where it usually is. */
export function normalBalance(kind: AccountKind, balanceMinor: number): number {
  return kind === "asset" || kind === "expense" ? balanceMinor : 0 - balanceMinor;
}
