import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import {
  type BatchReport,
  type Coalescer,
  createCoalescer,
} from "../../platform/coalescer/coalescer.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { DbError, splitsOnDataErrors } from "../../platform/db/errors.ts";
import { sql } from "../../platform/db/sql.ts";
import { type AttributedEvent, writeEvents } from "../../platform/events/events.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import { type ClaimVerdict, claimKeys, storeOutcomes } from "../../platform/idempotency/keys.ts";
import { claimStep, inFlight, keyReused } from "../../platform/idempotency/unit-of-work.ts";
import type { Journal, JournalId, LedgerEvents, PostFailure, Posting } from "./contract.ts";
import { checkJournal, contentOf, kindOfAccount } from "./journal.ts";
import { postJournals } from "./store.ts";

/** What posting one journal came to. */
export type PostOutcome = Result<Posting, PostFailure | IdempotencyFailure>;

/** What posting needs. */
export interface PostingDeps {
  readonly db: Db;
  readonly onBatch?: (report: BatchReport) => void;
}

interface PostItem {
  readonly ctx: Context;
  readonly journal: Journal;
}

/** Posts single journals; concurrent callers of a tenant share a transaction. */
export type PostJournal = (ctx: Context, journal: Journal) => Promise<PostOutcome>;

/** Makes the posting command. */
export function createPosting(deps: PostingDeps): PostJournal {
  const coalescer: Coalescer<PostItem, PostOutcome> = createCoalescer({
    name: "ledger.post",
    batchMax: 250,
    inFlightMax: 2,
    waitingMax: 10_000,
    isSplittable: splitsOnDataErrors,
    run: (tenantId, items) => postBatch(deps, tenantId as TenantId, items),
    ...(deps.onBatch ? { onBatch: deps.onBatch } : {}),
  });
  return async (ctx, journal) => {
    const checked = checkJournal(journal);
    if (!checked.ok) return checked;
    return coalescer.submit(ctx.tenantId, { ctx, journal: checked.value });
  };
}

async function postBatch(
  { db }: PostingDeps,
  tenantId: TenantId,
  items: readonly PostItem[],
): Promise<readonly PostOutcome[]> {
  try {
    return await db.commit(tenantId, (tx) => postItems(tx, items), { name: "ledger.post" });
  } catch (error) {
    const [item] = items;
    const refusal = items.length === 1 && item ? refusalOf(error, item.journal) : undefined;
    if (!refusal) throw error;
    return [fail(refusal)];
  }
}

async function postItems(
  tx: TenantTx,
  items: readonly PostItem[],
): Promise<readonly PostOutcome[]> {
  const claims = items.map(({ ctx }) => claimStep(ctx, "ledger.post"));
  const ids = items.map(({ journal }) => journal.id);
  const [verdicts, known] = await Promise.all([claimKeys(tx, claims), contentsOf(tx, ids)]);
  const fresh: PostItem[] = [];
  const outcomes = items.map((item, index): PostOutcome => {
    const claimed = answerClaim(verdicts[index]);
    if (claimed) return claimed;
    const { id } = item.journal;
    const content = contentOf(item.journal);
    const before = known.get(id);
    if (before !== undefined && before !== content) {
      return fail({ code: "ledger.journal_differs", journalId: id });
    }
    if (before === undefined) fresh.push(item);
    known.set(id, content);
    return ok({ journalId: id, repeated: before !== undefined });
  });
  postJournals(
    tx,
    fresh.map(({ ctx, journal }) => ({ origin: ctx, journal })),
  );
  writeEvents(tx, fresh.map(journalPosted));
  storeOutcomes(
    tx,
    outcomes.flatMap((outcome, index) =>
      outcome.ok && verdicts[index]?.kind === "fresh"
        ? [{ claim: claims[index], value: outcome.value }]
        : [],
    ),
  );
  return outcomes;
}

function answerClaim(verdict: ClaimVerdict | undefined): PostOutcome | undefined {
  if (verdict?.kind === "replay") return ok(verdict.value as Posting);
  if (verdict?.kind === "mismatch") return fail(keyReused);
  if (verdict?.kind === "in_flight") return fail(inFlight);
  return undefined;
}

async function contentsOf(
  tx: TenantTx,
  ids: readonly JournalId[],
): Promise<Map<JournalId, string>> {
  const sorted = ids.toSorted();
  // The range lets the planner leave out the months that have none of them.
  const rows = await tx.rows<{ id: JournalId; content: string }>(sql("ledger.contents")`
    select id, content from ledger_journals
    where tenant_id = ${tx.tenantId} and id = any(${ids}::uuid[])
      and id between ${sorted[0]}::uuid and ${sorted.at(-1)}::uuid`);
  return new Map(rows.map((row) => [row.id, row.content]));
}

/** What the database refused, as a failure of the one journal that was posted. */
function refusalOf(error: unknown, journal: Journal): PostFailure | undefined {
  if (!(error instanceof DbError)) return undefined;
  const journalId = journal.id;
  if (error.constraint === "ledger_accounts_floor") {
    return { code: "ledger.insufficient_funds", journalId };
  }
  if (error.constraint === "ledger_journals_content") {
    return { code: "ledger.journal_differs", journalId };
  }
  if (error.constraint === "ledger_entries_account_known") {
    const unknown = journal.entries.find((entry) => kindOfAccount(entry) === undefined);
    if (!unknown) return undefined;
    const { account, currency } = unknown;
    return { code: "ledger.unknown_account", account, currency };
  }
  return undefined;
}

function journalPosted({ ctx, journal }: PostItem): AttributedEvent {
  const { id: journalId, kind, reference } = journal;
  const data: LedgerEvents["ledger.journal_posted"] = {
    journalId,
    kind,
    ...(reference === undefined ? {} : { reference }),
  };
  const stream = `journal:${journalId}`;
  return { origin: ctx, event: { type: "ledger.journal_posted", version: 1, stream, data } };
}
