import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Page } from "../../kernel/page.ts";
import type { Result } from "../../kernel/result.ts";
import type { Db } from "../../platform/db/db.ts";
import type { BadCursor } from "../../platform/http/cursor.ts";
import type { IdempotencyFailure } from "../../platform/idempotency/contract.ts";
import type { UnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { openAccounts } from "./accounts.ts";
import { verifyChain } from "./closing.ts";
import type {
  Account,
  AccountBalance,
  AccountFailure,
  ChainReport,
  Hold,
  HoldFailure,
  HoldId,
  PostedJournal,
  PostFailure,
  StatementLine,
  TrialBalance,
} from "./contract.ts";
import { type HoldPosting, type NewHold, placeHold, postHold, releaseHold } from "./holds.ts";
import { createPosting, type PostingDeps, type PostJournal } from "./posting.ts";
import {
  findBalance,
  type JournalsRequest,
  listAccounts,
  listJournals,
  type PageRequest,
  readStatement,
  readTrialBalance,
  type StatementRequest,
} from "./queries.ts";

export { openAccounts } from "./accounts.ts";
export { closeBalances, sealEntries, verifyChain } from "./closing.ts";
export { type HoldPosting, type NewHold, placeHold, postHold, releaseHold } from "./holds.ts";
export { ledgerInvariants } from "./invariants.ts";
export { ledgerJobs, ledgerUpkeepJob } from "./jobs.ts";
export type { PostJournal, PostOutcome } from "./posting.ts";
export { ledgerRoutes } from "./routes.ts";
export { type AttributedJournal, postEntries, postJournals } from "./store.ts";

/** What the ledger needs from outside. */
export interface LedgerDeps extends PostingDeps {
  readonly db: Db;
  readonly uow: UnitOfWork;
}

type Once<Value, F extends { readonly code: string }> = Promise<
  Result<Value, F | IdempotencyFailure>
>;

/** What the rest of the system may ask of the ledger, in transactions of its own. */
export interface Ledger {
  /** Posts one journal; concurrent callers of a tenant share a transaction. */
  readonly post: PostJournal;
  openAccounts(
    ctx: Context,
    accounts: readonly Account[],
  ): Once<readonly Account[], AccountFailure>;
  placeHold(ctx: Context, hold: NewHold): Once<Hold, HoldFailure>;
  postHold(ctx: Context, posting: HoldPosting): Once<Hold, HoldFailure | PostFailure>;
  releaseHold(ctx: Context, id: HoldId): Once<Hold, HoldFailure>;
  findBalance(
    tenantId: TenantId,
    account: Pick<Account, "code" | "currency">,
  ): Promise<AccountBalance | undefined>;
  listAccounts(
    tenantId: TenantId,
    page: PageRequest,
  ): Promise<Result<Page<AccountBalance>, BadCursor>>;
  statement(
    tenantId: TenantId,
    request: StatementRequest,
  ): Promise<Result<Page<StatementLine>, AccountFailure | BadCursor>>;
  trialBalance(tenantId: TenantId): Promise<TrialBalance>;
  listJournals(
    tenantId: TenantId,
    request: JournalsRequest,
  ): Promise<Result<Page<PostedJournal>, BadCursor>>;
  /** Recomputes the hash chain. */
  verify(tenantId: TenantId): Promise<ChainReport>;
}

const oneMoment = { isolation: "repeatable read" } as const;

/** Builds the module. */
export function createLedger(deps: LedgerDeps): Ledger {
  const { db, uow } = deps;
  return {
    post: createPosting(deps),
    openAccounts: (ctx, accounts) =>
      uow.transact(ctx, (tx) => openAccounts(tx, accounts), { name: "ledger.open_accounts" }),
    placeHold: (ctx, hold) =>
      uow.transact(ctx, (tx) => placeHold(tx, ctx, hold), { name: "ledger.place_hold" }),
    postHold: (ctx, posting) =>
      uow.transact(ctx, (tx) => postHold(tx, ctx, posting), { name: "ledger.post_hold" }),
    releaseHold: (ctx, id) =>
      uow.transact(ctx, (tx) => releaseHold(tx, ctx, id), { name: "ledger.release_hold" }),
    findBalance: (tenantId, account) =>
      db.read(tenantId, (tx) => findBalance(tx, account), { name: "ledger.balance" }),
    listAccounts: (tenantId, page) =>
      db.read(tenantId, (tx) => listAccounts(tx, page), { name: "ledger.accounts" }),
    statement: (tenantId, request) =>
      db.read(tenantId, (tx) => readStatement(tx, request), {
        name: "ledger.statement",
        ...oneMoment,
      }),
    trialBalance: (tenantId) =>
      db.read(tenantId, readTrialBalance, { name: "ledger.trial_balance" }),
    listJournals: (tenantId, request) =>
      db.read(tenantId, (tx) => listJournals(tx, request), {
        name: "ledger.journals",
        ...oneMoment,
      }),
    verify: (tenantId) =>
      db.read(tenantId, verifyChain, { name: "ledger.verify", statementTimeoutMs: 60_000 }),
  };
}
