import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isId } from "../../kernel/ids.ts";
import type { Journal, JournalEntry, JournalId } from "./contract.ts";
import { checkJournal, contentOf, kindOfAccount } from "./journal.ts";

const journal = (entries: readonly JournalEntry[]): Journal => ({
  id: "01890000-0000-7000-8000-000000000000" as JournalId,
  kind: "test",
  description: "test",
  occurredAt: new Date(0),
  entries,
});
const entry = fc.record({
  account: fc.constantFrom("sales", "receivable", "tax_payable"),
  currency: fc.constantFrom("EUR", "JPY"),
  amountMinor: fc.integer({ min: -1_000_000, max: 1_000_000 }),
});

test("accepts a journal exactly when every currency sums to zero and something is posted", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 8 }), fc.boolean(), (given, balance) => {
      const entries = [...given];
      const off = (currency: string) =>
        entries
          .filter((each) => each.currency === currency)
          .reduce((sum, each) => sum + each.amountMinor, 0);
      if (balance) {
        for (const currency of ["EUR", "JPY"]) {
          entries.push({
            account: "rounding" as "sales",
            currency: currency as "EUR",
            amountMinor: -off(currency),
          });
        }
      }
      const checked = checkJournal(journal(entries));
      const sound = off("EUR") === 0 && off("JPY") === 0;
      const empty = entries.every((each) => each.amountMinor === 0);
      assert.equal(checked.ok, sound && !empty);
      if (checked.ok) assert.ok(checked.value.entries.every((each) => each.amountMinor !== 0));
    }),
  );
});

test("refuses amounts that are not whole or too large, and malformed codes", () => {
  const leg = (change: Partial<JournalEntry>) =>
    checkJournal(journal([{ account: "sales", amountMinor: 1, currency: "EUR", ...change }]));
  for (const change of [
    { amountMinor: 0.5 },
    { amountMinor: Number.NaN },
    { amountMinor: 1e14 },
    { account: "Sales" },
    { account: "sales'; drop table" },
    { currency: "eur" },
  ]) {
    const checked = leg(change);
    assert.equal(!checked.ok && checked.failure.code, "ledger.bad_entry", JSON.stringify(change));
  }
});

test("a fingerprint is the same for the same content and differs with any part of it", () => {
  const base = journal([
    { account: "sales", amountMinor: -5, currency: "EUR" },
    { account: "receivable", amountMinor: 5, currency: "EUR" },
  ]);
  assert.ok(isId(contentOf(base)));
  assert.equal(
    contentOf(base),
    contentOf({ ...base, entries: base.entries.map((e) => ({ ...e })) }),
  );
  const others: Journal[] = [
    { ...base, kind: "other" },
    { ...base, description: "other" },
    { ...base, reference: "other" },
    { ...base, occurredAt: new Date(1) },
    { ...base, entries: base.entries.toReversed() },
  ];
  const prints = new Set([base, ...others].map(contentOf));
  assert.equal(prints.size, others.length + 1);
});

test("an account's kind comes from the entry, or from the chart by the part before the colon", () => {
  const of = (account: string, kind?: JournalEntry["kind"]) =>
    kindOfAccount({ account, amountMinor: 1, currency: "EUR", ...(kind ? { kind } : {}) });
  assert.equal(of("provider:cards"), "asset");
  assert.equal(of("tax_payable"), "liability");
  assert.equal(of("mystery"), undefined);
  assert.equal(of("constructor"), undefined);
  assert.equal(of("mystery", "expense"), "expense");
});
