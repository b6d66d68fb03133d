import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { newId, newIdAt } from "../../kernel/ids.ts";
import type { Isolation } from "../../platform/db/db.ts";
import { DbError } from "../../platform/db/errors.ts";
import type { ChainReport, Journal } from "./contract.ts";
import { closeBalances, postEntries, sealEntries } from "./index.ts";
import {
  brokenInvariants,
  freshTenant,
  type LedgerBench,
  openLedgerBench,
  transfer,
} from "./setup.fixture.ts";

let bench: LedgerBench;
before(async () => {
  bench = await openLedgerBench();
});
after(() => bench.stop());

const balanceOf = async ({ ledger, tenantId }: LedgerBench, code: string) =>
  (await ledger.findBalance(tenantId, { code, currency: "EUR" }))?.balanceMinor;

test("posts a journal once, whatever the number of its repeats", async () => {
  const own = freshTenant(bench);
  const journal = transfer("receivable", "sales", 1_000);
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, () => own.ledger.post(own.ctx, journal)),
  );
  assert.equal(outcomes.filter((outcome) => outcome.ok && !outcome.value.repeated).length, 1);
  assert.equal(await balanceOf(own, "receivable"), 1_000);
});

test("refuses another content under a known id and keeps its neighbours", async () => {
  const own = freshTenant(bench);
  const journal = transfer("receivable", "sales", 1_000);
  await own.ledger.post(own.ctx, journal);
  const [differs, fine] = await Promise.all([
    own.ledger.post(own.ctx, { ...journal, description: "another story" }),
    own.ledger.post(own.ctx, transfer("receivable", "sales", 5)),
  ]);
  assert.equal(!differs.ok && differs.failure.code, "ledger.journal_differs");
  assert.ok(fine.ok);
  assert.equal(await balanceOf(own, "sales"), -1_005);
});

test("refuses what does not balance, in each currency by itself", async () => {
  const own = freshTenant(bench);
  const entries = [
    { account: "receivable", amountMinor: 10, currency: "EUR" },
    { account: "sales", amountMinor: -10, currency: "USD" },
  ];
  const outcome = await own.ledger.post(own.ctx, transfer("a", "b", 1, { entries }));
  assert.equal(!outcome.ok && outcome.failure.code, "ledger.unbalanced");
});

test("opens accounts of the chart by themselves and refuses unknown ones", async () => {
  const own = freshTenant(bench);
  const unknown = await own.ledger.post(own.ctx, transfer("mystery", "sales", 5));
  assert.equal(!unknown.ok && unknown.failure.code, "ledger.unknown_account");
  const account = { code: "mystery", currency: "EUR", kind: "asset" } as const;
  assert.ok((await own.ledger.openAccounts(own.ctx, [account])).ok);
  assert.ok((await own.ledger.post(own.ctx, transfer("mystery", "sales", 5))).ok);
  const other = await own.ledger.openAccounts(own.ctx, [{ ...account, kind: "income" }]);
  assert.equal(!other.ok && other.failure.code, "ledger.account_differs");
});

test("the database itself refuses an unbalanced statement, change and removal, also to the owner", async () => {
  const own = freshTenant(bench);
  await own.ledger.post(own.ctx, transfer("receivable", "sales", 1_000));
  const insert = `insert into shared.ledger_entries
    (tenant_id, journal_id, line, account, currency, amount_minor)
    values ('${own.tenantId}', '${newId()}', 0, 'sales', 'EUR', 5)`;
  await own.database.query(
    "select platform.ensure_month_partition('shared.ledger_entries', '2031-05-01')",
  );
  const months = await own.database.query<{ t: string }>(
    "select inhrelid::regclass::text as t from pg_inherits where inhparent = 'shared.ledger_entries'::regclass",
  );
  const partitions = months.map(({ t }) => t);
  assert.ok(partitions.includes("shared.ledger_entries_y2031m05"));
  const refused: readonly (readonly [string, RegExp])[] = [
    [insert, /is off by 5 EUR/],
    ...partitions.map(
      // Only the month of the id takes the row; elsewhere the bounds refuse it before.
      (t) =>
        [
          insert.replace("shared.ledger_entries", t),
          /is off by 5 EUR|violates partition constraint/,
        ] as const,
    ),
    ["update shared.ledger_entries set amount_minor = amount_minor", /append-only/],
    ["delete from shared.ledger_entries", /append-only/],
    ["truncate shared.ledger_entries", /append-only/],
    ...partitions.map((t) => [`truncate ${t}`, /append-only/] as const),
    ["update shared.ledger_journals set kind = 'x'", /append-only/],
    ["delete from shared.ledger_journals", /append-only/],
    ["truncate shared.ledger_journals", /append-only/],
  ];
  for (const [text, reason] of refused) {
    await assert.rejects(own.database.query(text), reason, text);
  }
  await assert.rejects(
    own.db.commit(own.tenantId, (tx) =>
      tx.run({ name: "", text: "delete from ledger_entries", values: [] }),
    ),
    /permission denied/,
  );
  assert.deepEqual(await brokenInvariants(own), []);
});

test("another tenant sees none of it", async () => {
  const own = freshTenant(bench);
  await own.ledger.post(own.ctx, transfer("receivable", "sales", 1_000, { reference: "canary" }));
  const other = freshTenant(bench);
  assert.equal(await balanceOf(other, "receivable"), undefined);
  assert.deepEqual((await other.ledger.trialBalance(other.tenantId)).accounts, []);
  const journals = await other.ledger.listJournals(other.tenantId, { limit: 10 });
  assert.ok(journals.ok && journals.value.items.length === 0);
});

for (const isolation of ["repeatable read", "serializable"] as const satisfies Isolation[]) {
  test(`posts from many transactions at once at ${isolation} without a retry`, async () => {
    const own = freshTenant(bench);
    await own.ledger.post(own.ctx, transfer("receivable", "sales", 1));
    await Promise.all(
      Array.from({ length: 40 }, () =>
        own.db.commit(
          own.tenantId,
          async (tx) => postEntries(tx, own.ctx, [transfer("receivable", "sales", 1)]),
          { isolation, attemptsMax: isolation === "serializable" ? 20 : 1 },
        ),
      ),
    );
    assert.equal(await balanceOf(own, "receivable"), 41);
  });
}

test("a batch posted in a shared transaction disappears with it", async () => {
  const own = freshTenant(bench);
  await assert.rejects(
    own.db.commit(own.tenantId, async (tx) => {
      postEntries(tx, own.ctx, [transfer("receivable", "sales", 1)]);
      throw new Error("changed my mind");
    }),
  );
  assert.equal(await balanceOf(own, "receivable"), undefined);
});

test("an unknown id and a repeat in one shared transaction post the unknown one only", async () => {
  const own = freshTenant(bench);
  const first = transfer("receivable", "sales", 1);
  const post = (journals: readonly Journal[]) =>
    own.db.commit(own.tenantId, async (tx) => postEntries(tx, own.ctx, journals));
  await post([first]);
  await post([transfer("receivable", "sales", 2), first]);
  assert.equal(await balanceOf(own, "receivable"), 3);
  await assert.rejects(
    post([transfer("receivable", "sales", 4), { ...first, kind: "test.other" }]),
    (error) => error instanceof DbError && error.constraint === "ledger_journals_content",
  );
  assert.equal(await balanceOf(own, "receivable"), 3);
});

test("balances agree with a naive ledger whenever they are closed", async () => {
  const accounts = ["receivable", "sales", "tax_payable", "provider:cards", "refunds_payable"];
  const step = fc.oneof(
    fc.record({
      debit: fc.constantFrom(...accounts),
      credit: fc.constantFrom(...accounts),
      amount: fc.integer({ min: -1_000, max: 1_000 }),
    }),
    fc.constant("close" as const),
    fc.constant("seal" as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const own = freshTenant(bench);
      const naive = new Map<string, number>();
      for (const what of steps) {
        if (what === "close") await own.db.commit(own.tenantId, closeBalances);
        else if (what === "seal") {
          await own.db.commit(own.tenantId, (tx) => sealEntries(tx, own.ctx, 3));
        } else {
          const outcome = await own.ledger.post(
            own.ctx,
            transfer(what.debit, what.credit, what.amount),
          );
          assert.equal(outcome.ok, what.amount !== 0);
          if (what.amount === 0) continue;
          naive.set(what.debit, (naive.get(what.debit) ?? 0) + what.amount);
          naive.set(what.credit, (naive.get(what.credit) ?? 0) - what.amount);
        }
      }
      for (const [code, balance] of naive) assert.equal(await balanceOf(own, code), balance);
      const trial = await own.ledger.trialBalance(own.tenantId);
      assert.deepEqual(new Map(trial.accounts.map((row) => [row.code, row.balanceMinor])), naive);
      for (const total of trial.totals) assert.equal(total.differenceMinor, 0);
      const listed = await own.ledger.listAccounts(own.tenantId, { limit: 100 });
      assert.ok(listed.ok);
      for (const row of listed.value.items) assert.equal(row.balanceMinor, naive.get(row.code));
      assert.deepEqual(await brokenInvariants(own), []);
      const chain = await own.ledger.verify(own.tenantId);
      assert.ok(chain.intact);
    }),
    { numRuns: 25 },
  );
});

test("closing while others post never loses or doubles an entry", async () => {
  const own = freshTenant(bench);
  let running = true;
  const closer = (async () => {
    while (running) {
      await own.db.commit(own.tenantId, closeBalances);
      await own.db.commit(own.tenantId, (tx) => sealEntries(tx, own.ctx, 20));
    }
  })();
  const post = async () => {
    for (let index = 0; index < 25; index++) {
      await own.db.commit(own.tenantId, async (tx) =>
        postEntries(tx, own.ctx, [transfer("receivable", "sales", 1)]),
      );
    }
  };
  await Promise.all([post(), post(), post(), post()]);
  running = false;
  await closer;
  await own.db.commit(own.tenantId, closeBalances);
  assert.equal(await balanceOf(own, "receivable"), 100);
  assert.deepEqual(await brokenInvariants(own), []);
});

test("a statement's pages join without a gap and each line shows the balance after it", async () => {
  const own = freshTenant(bench);
  const amounts = Array.from({ length: 45 }, (_, index) => index + 1);
  for (const amount of amounts) {
    const at = new Date(Date.UTC(2026, 0, 1) + amount * 60_000);
    const id = newIdAt<"journal">(at);
    await own.ledger.post(own.ctx, transfer("receivable", "sales", amount, { id, occurredAt: at }));
  }
  const lines = [];
  let cursor: string | undefined;
  do {
    const page = await own.ledger.statement(own.tenantId, {
      code: "receivable",
      currency: "EUR",
      limit: 10,
      cursor,
    });
    assert.ok(page.ok);
    lines.push(...page.value.items);
    cursor = page.value.nextCursor;
  } while (cursor);
  assert.deepEqual(
    lines.map((line) => line.amountMinor),
    amounts.toReversed(),
  );
  let balance = 0;
  for (const line of lines.toReversed()) {
    balance += line.amountMinor;
    assert.equal(line.balanceMinor, balance);
  }
  const part = await own.ledger.statement(own.tenantId, {
    code: "receivable",
    currency: "EUR",
    limit: 100,
    from: new Date(Date.UTC(2026, 0, 1) + 5 * 60_000),
    before: new Date(Date.UTC(2026, 0, 1) + 11 * 60_000),
  });
  assert.ok(part.ok);
  assert.deepEqual(
    part.value.items.map((line) => [line.amountMinor, line.balanceMinor]),
    [10, 9, 8, 7, 6, 5].map((n) => [n, (n * (n + 1)) / 2]),
  );
});

test("journals are found by what they are about, page by page", async () => {
  const own = freshTenant(bench);
  const reference = `order:${newId()}`;
  for (let index = 0; index < 5; index++) {
    await own.ledger.post(own.ctx, transfer("receivable", "sales", 1, { reference }));
    await own.ledger.post(own.ctx, transfer("receivable", "sales", 1));
  }
  const first = await own.ledger.listJournals(own.tenantId, { reference, limit: 3 });
  assert.ok(first.ok);
  const second = await own.ledger.listJournals(own.tenantId, {
    reference,
    limit: 3,
    cursor: first.value.nextCursor,
  });
  assert.ok(second.ok && second.value.nextCursor === undefined);
  const found = [...first.value.items, ...second.value.items];
  assert.equal(new Set(found.map((journal) => journal.id)).size, 5);
  assert.ok(found.every((journal) => journal.entries.length === 2));
});

/** Seals until nothing is left: any transaction of the server, also another test's, holds it back. */
async function sealAll(own: LedgerBench): Promise<ChainReport> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    await own.db.commit(own.tenantId, (tx) => sealEntries(tx, own.ctx, 4));
    const report = await own.ledger.verify(own.tenantId);
    if (report.entriesUnsealed === 0 || performance.now() > deadline) return report;
  }
}

test("a changed, removed or slipped-in entry breaks the chain at its seal", async () => {
  const tamperings = [
    "update shared.ledger_entries set amount_minor = amount_minor * 2 where tenant_id = $1 and line = 0",
    "delete from shared.ledger_entries where tenant_id = $1 and line = 0",
    "update shared.ledger_journals set description = 'bribe' where tenant_id = $1",
    "update shared.ledger_seals set hash = sha256('forged') where tenant_id = $1 and number = 2",
    `insert into shared.ledger_entries select tenant_id, gen_random_uuid(), amount_minor, horizon, line,
       account, currency from shared.ledger_entries where tenant_id = $1`,
  ];
  for (const text of tamperings) {
    const own = freshTenant(bench);
    for (let index = 0; index < 6; index++) {
      await own.ledger.post(own.ctx, transfer("receivable", "sales", 7));
    }
    const before = await sealAll(own);
    assert.ok(before.intact && before.sealsChecked >= 3);
    assert.equal(before.entriesChecked, 12);
    // Only a superuser can switch the triggers off; the chain is there for him.
    await own.database.query("set session_replication_role = replica");
    await own.database.query(text, [own.tenantId]);
    await own.database.query("set session_replication_role = origin");
    const report = await own.ledger.verify(own.tenantId);
    assert.equal(report.intact, false, text);
    assert.ok((report.brokenSeal ?? 0) >= 1);
    assert.ok(
      (await brokenInvariants(own)).some((line) => line.includes("hash chain")),
      text,
    );
  }
});
