import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import { appendEvents, type EventOrigin, type NewEvent } from "../../platform/events/events.ts";
import type {
  AccountKind,
  Hold,
  HoldFailure,
  HoldId,
  Journal,
  LedgerEvents,
  PostFailure,
} from "./contract.ts";
import { checkJournal, normalBalance } from "./journal.ts";
import { postEntries } from "./store.ts";

/** Asks to promise part of a floored account's balance. */
export interface NewHold {
  readonly id: HoldId;
  readonly account: string;
  readonly currency: string;
  /** 1 or more. */
  readonly amountMinor: number;
  readonly reference?: string;
}

/** Takes money out of a hold. */
export interface HoldPosting {
  readonly holdId: HoldId;
  /** A journal that lowers the account by the held amount at most. */
  readonly journal: Journal;
  /** True gives the rest of the hold back. */
  readonly final?: boolean;
}

/** Places a hold inside the caller's transaction, decided under the account's row lock. */
export async function placeHold(
  tx: TenantTx,
  origin: EventOrigin,
  wish: NewHold,
): Promise<Result<Hold, HoldFailure>> {
  const { id, account, currency, amountMinor, reference } = wish;
  const funds = await lockFunds(tx, wish);
  if (!funds) return fail({ code: "ledger.no_floor", account });
  const before = await findHold(tx, id);
  if (before) {
    const same =
      before.account === account &&
      before.currency === currency &&
      before.amountMinor === amountMinor;
    return same ? ok(before) : fail({ code: "ledger.hold_differs", holdId: id });
  }
  const free = normalBalance(funds.kind, funds.balanceMinor) - funds.heldMinor - funds.floorMinor;
  const sound = Number.isSafeInteger(amountMinor) && amountMinor > 0;
  if (!sound || free < amountMinor) return fail({ code: "ledger.insufficient_funds", account });
  tx.write(sql("ledger.place_hold")`
    insert into ledger_holds (tenant_id, id, account, currency, amount_minor, reference)
    values (${tx.tenantId}, ${id}, ${account}, ${currency}, ${amountMinor}, ${reference ?? null})`);
  const data: LedgerEvents["ledger.hold_placed"] = { holdId: id, account, amountMinor, currency };
  appendEvents(tx, origin, [holdEvent("ledger.hold_placed", id, data)]);
  return ok({
    id,
    account,
    currency,
    amountMinor,
    postedMinor: 0,
    state: "active",
    ...(reference === undefined ? {} : { reference }),
  });
}

/** Posts part or all of a hold inside the caller's transaction. */
export async function postHold(
  tx: TenantTx,
  origin: EventOrigin,
  posting: HoldPosting,
): Promise<Result<Hold, HoldFailure | PostFailure>> {
  const { holdId, final } = posting;
  const checked = checkJournal(posting.journal);
  if (!checked.ok) return checked;
  const journal = checked.value;
  const hold = await findHold(tx, holdId, true);
  if (!hold) return fail({ code: "ledger.hold_not_found", holdId });
  if (await isPosted(tx, journal)) return ok(hold);
  if (hold.state !== "active") return fail({ code: "ledger.hold_closed", holdId });
  const kind = await kindOf(tx, hold);
  const change = journal.entries
    .filter((entry) => entry.account === hold.account && entry.currency === hold.currency)
    .reduce((sum, entry) => sum + entry.amountMinor, 0);
  const taken = -normalBalance(kind, change);
  const remainingMinor = hold.amountMinor - hold.postedMinor;
  if (taken <= 0 || taken > remainingMinor) {
    return fail({ code: "ledger.hold_exceeded", holdId, remainingMinor });
  }
  const state = final || taken === remainingMinor ? "posted" : "active";
  tx.write(sql("ledger.post_hold")`
    update ledger_holds set posted_minor = posted_minor + ${taken}, state = ${state}
    where tenant_id = ${tx.tenantId} and id = ${holdId}`);
  postEntries(tx, origin, [journal]);
  const data: LedgerEvents["ledger.hold_posted"] = { holdId, journalId: journal.id };
  appendEvents(tx, origin, [holdEvent("ledger.hold_posted", holdId, data)]);
  return ok({ ...hold, postedMinor: hold.postedMinor + taken, state });
}

/** Gives the rest of a hold back; releasing one that is closed changes nothing. */
export async function releaseHold(
  tx: TenantTx,
  origin: EventOrigin,
  holdId: HoldId,
): Promise<Result<Hold, HoldFailure>> {
  const hold = await findHold(tx, holdId, true);
  if (!hold) return fail({ code: "ledger.hold_not_found", holdId });
  if (hold.state === "released") return ok(hold);
  if (hold.state === "posted") return fail({ code: "ledger.hold_closed", holdId });
  tx.write(sql("ledger.release_hold")`
    update ledger_holds set state = 'released' where tenant_id = ${tx.tenantId} and id = ${holdId}`);
  appendEvents(tx, origin, [holdEvent("ledger.hold_released", holdId, { holdId })]);
  return ok({ ...hold, state: "released" });
}

function holdEvent(type: keyof LedgerEvents, holdId: HoldId, data: object): NewEvent {
  return { type, version: 1, stream: `hold:${holdId}`, data };
}

interface Funds {
  readonly kind: AccountKind;
  readonly floorMinor: number;
  readonly balanceMinor: number;
  readonly heldMinor: number;
}

/** Locks a floored account, then reads what it has: two statements, so that the second sees all. */
async function lockFunds(tx: TenantTx, { account, currency }: NewHold): Promise<Funds | undefined> {
  // An update rather than FOR UPDATE: a rival at REPEATABLE READ must fail, not read an old balance.
  const locked = tx.run(sql("ledger.lock_funds")`
    update ledger_accounts set version = version + 1
    where tenant_id = ${tx.tenantId} and code = ${account} and currency = ${currency}
      and floor_minor is not null`);
  const funds = tx.maybe<Funds>(sql("ledger.funds")`
    select kind, floor_minor as "floorMinor",
      ledger_balance(tenant_id, code, currency) as "balanceMinor",
      (select coalesce(sum(amount_minor - posted_minor), 0)::bigint from ledger_holds h
        where h.tenant_id = a.tenant_id and h.account = a.code and h.currency = a.currency
          and h.state = 'active') as "heldMinor"
    from ledger_accounts a
    where tenant_id = ${tx.tenantId} and code = ${account} and currency = ${currency}
      and floor_minor is not null`);
  const [, row] = await Promise.all([locked, funds]);
  return row;
}

async function findHold(tx: TenantTx, id: HoldId, lock = false): Promise<Hold | undefined> {
  if (lock) {
    tx.write(sql("ledger.lock_hold")`
      select 1 from ledger_holds where tenant_id = ${tx.tenantId} and id = ${id} for update`);
  }
  const row = await tx.maybe<Hold & { reference: string | null }>(sql("ledger.find_hold")`
    select id, account, currency, amount_minor as "amountMinor", posted_minor as "postedMinor",
      state, reference
    from ledger_holds where tenant_id = ${tx.tenantId} and id = ${id}`);
  if (!row) return undefined;
  const { reference, ...hold } = row;
  return reference === null ? hold : { ...hold, reference };
}

async function isPosted(tx: TenantTx, { id }: Journal): Promise<boolean> {
  const row = await tx.maybe(sql("ledger.is_posted")`
    select 1 from ledger_journals where tenant_id = ${tx.tenantId} and id = ${id}`);
  return row !== undefined;
}

async function kindOf(tx: TenantTx, { account, currency }: Hold): Promise<AccountKind> {
  const { kind } = await tx.one<{ kind: AccountKind }>(sql("ledger.kind")`
    select kind from ledger_accounts
    where tenant_id = ${tx.tenantId} and code = ${account} and currency = ${currency}`);
  return kind;
}
