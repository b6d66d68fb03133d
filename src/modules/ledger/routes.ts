import { Type } from "typebox";
import { newId, timeOfId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { type Route, route } from "../../platform/http/route.ts";
import {
  type AccountBalance,
  amountMinorMax,
  entriesMax,
  type HoldId,
  type JournalId,
  type PostedJournal,
  type StatementLine,
} from "./contract.ts";
import type { Ledger } from "./index.ts";

const tag = "Ledger";
// PostgreSQL answers in lower case: an id in upper case would never be found again.
const Uuid = Type.String({ format: "uuid", pattern: "^[0-9a-f-]+$" });
const Minor = Type.Integer({ minimum: -Number.MAX_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER });
const Currency = Type.String({ pattern: "^[A-Z]{3}$" });
const AccountCode = Type.String({ pattern: "^[a-z][a-z0-9_.:-]{0,119}$" });
/** From 1970, where ids can carry it, to 2199. */
const Moment = Type.String({ format: "date-time", pattern: "^(19[7-9]|20|21)" });
const Reference = Type.String({ minLength: 1, maxLength: 200 });
const Kind = Type.Union(
  (["asset", "liability", "equity", "income", "expense"] as const).map((kind) =>
    Type.Literal(kind),
  ),
);
const Money = Type.Object({ amountMinor: Minor, currency: Currency });
const Leg = Type.Object(
  {
    amountMinor: Type.Integer({ minimum: -amountMinorMax, maximum: amountMinorMax }),
    currency: Currency,
  },
  { additionalProperties: false },
);
/** Items of a page when the caller does not say. */
const limitDefault = 20;
const pageFields = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  cursor: Type.Optional(Type.String({ maxLength: 2_000 })),
};
const strict = { additionalProperties: false };

const AccountBody = Type.Object({
  code: AccountCode,
  kind: Kind,
  currency: Currency,
  balance: Money,
  normalBalance: Money,
  held: Money,
  floor: Type.Optional(Money),
});
const LineBody = Type.Object({
  journalId: Uuid,
  kind: Type.String(),
  description: Type.String(),
  reference: Type.Optional(Type.String()),
  occurredAt: Moment,
  amount: Money,
  balance: Money,
});
const JournalBody = Type.Object({
  id: Uuid,
  kind: Type.String(),
  description: Type.String(),
  reference: Type.Optional(Type.String()),
  occurredAt: Moment,
  recordedAt: Moment,
  entries: Type.Array(Type.Object({ account: AccountCode, amount: Money })),
});
const NewJournal = Type.Object(
  {
    id: Type.Optional(Uuid),
    kind: Type.String({ pattern: "^[a-z][a-z0-9_.]{0,79}$" }),
    description: Type.String({ minLength: 1, maxLength: 500 }),
    reference: Type.Optional(Reference),
    occurredAt: Type.Optional(Moment),
    entries: Type.Array(
      Type.Object({ account: AccountCode, amount: Leg, kind: Type.Optional(Kind) }, strict),
      { minItems: 2, maxItems: entriesMax },
    ),
  },
  strict,
);

/** The HTTP operations of the ledger. */
export function ledgerRoutes(ledger: Ledger): readonly Route[] {
  return [
    listAccountsRoute(ledger),
    openAccountRoute(ledger),
    statementRoute(ledger),
    trialBalanceRoute(ledger),
    listJournalsRoute(ledger),
    postJournalRoute(ledger),
    ...holdRoutes(ledger),
    verifyRoute(ledger),
  ];
}

function listAccountsRoute(ledger: Ledger): Route {
  return route({
    method: "GET",
    path: "/v1/ledger/accounts",
    operationId: "listLedgerAccounts",
    summary: "List accounts with their balances",
    tag,
    access: "secret",
    permission: "ledger:read",
    schemas: {
      query: Type.Object(pageFields, strict),
      response: Type.Object({
        items: Type.Array(AccountBody),
        nextCursor: Type.Optional(Type.String()),
      }),
    },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query }) {
      const page = await ledger.listAccounts(ctx.tenantId, { limit: limitDefault, ...query });
      if (!page.ok) return page;
      return ok({ body: { ...page.value, items: page.value.items.map(accountBody) } });
    },
  });
}

function openAccountRoute(ledger: Ledger): Route {
  return route({
    method: "POST",
    path: "/v1/ledger/accounts",
    operationId: "openLedgerAccount",
    summary: "Open an account",
    description:
      "Accounts of the chart open by themselves with their first posting. An account with a floor " +
      "refuses journals and holds that would take it lower.",
    tag,
    access: "secret",
    permission: "ledger:write",
    schemas: {
      body: Type.Object(
        {
          code: AccountCode,
          currency: Currency,
          kind: Kind,
          floorMinor: Type.Optional(
            Type.Integer({ minimum: -amountMinorMax, maximum: amountMinorMax }),
          ),
        },
        strict,
      ),
      response: AccountBody,
    },
    failures: ["ledger.account_differs", "ledger.bad_account"],
    async handle({ ctx, body }) {
      const opened = await ledger.openAccounts(ctx, [body]);
      if (!opened.ok) return opened;
      const account = await ledger.findBalance(ctx.tenantId, body);
      if (!account) return fail({ code: "ledger.account_not_found", account: body.code });
      return ok({ status: 201, body: accountBody(account) });
    },
  });
}

function statementRoute(ledger: Ledger): Route {
  return route({
    method: "GET",
    path: "/v1/ledger/accounts/{code}/statement",
    operationId: "getLedgerStatement",
    summary: "Show an account's entries with running balance, newest first",
    tag,
    access: "secret",
    permission: "ledger:read",
    schemas: {
      params: Type.Object({ code: AccountCode }),
      query: Type.Object(
        {
          currency: Currency,
          from: Type.Optional(Moment),
          before: Type.Optional(Moment),
          ...pageFields,
        },
        strict,
      ),
      response: Type.Object({
        items: Type.Array(LineBody),
        nextCursor: Type.Optional(Type.String()),
      }),
    },
    failures: ["ledger.account_not_found", "request.bad_cursor"],
    async handle({ ctx, params, query }) {
      const { currency, from, before, ...page } = query;
      const statement = await ledger.statement(ctx.tenantId, {
        limit: limitDefault,
        ...page,
        code: params.code,
        currency,
        from: from === undefined ? undefined : new Date(from),
        before: before === undefined ? undefined : new Date(before),
      });
      if (!statement.ok) return statement;
      const items = statement.value.items.map((line) => lineBody(line, currency));
      return ok({ body: { ...statement.value, items } });
    },
  });
}

function trialBalanceRoute(ledger: Ledger): Route {
  const Total = Type.Object({
    currency: Currency,
    debitMinor: Minor,
    creditMinor: Minor,
    differenceMinor: Minor,
  });
  return route({
    method: "GET",
    path: "/v1/ledger/trial-balance",
    operationId: "getTrialBalance",
    summary: "Show every account's debits and credits; each currency's difference is zero",
    tag,
    access: "secret",
    permission: "ledger:read",
    schemas: {
      response: Type.Object({
        accounts: Type.Array(
          Type.Object({
            code: AccountCode,
            currency: Currency,
            kind: Kind,
            debitMinor: Minor,
            creditMinor: Minor,
            balanceMinor: Minor,
          }),
        ),
        totals: Type.Array(Total),
      }),
    },
    handle: async ({ ctx }) => ok({ body: await ledger.trialBalance(ctx.tenantId) }),
  });
}

function listJournalsRoute(ledger: Ledger): Route {
  return route({
    method: "GET",
    path: "/v1/ledger/journals",
    operationId: "listJournals",
    summary: "List journals with their entries, newest first",
    tag,
    access: "secret",
    permission: "ledger:read",
    schemas: {
      query: Type.Object({ reference: Type.Optional(Reference), ...pageFields }, strict),
      response: Type.Object({
        items: Type.Array(JournalBody),
        nextCursor: Type.Optional(Type.String()),
      }),
    },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query }) {
      const page = await ledger.listJournals(ctx.tenantId, { limit: limitDefault, ...query });
      if (!page.ok) return page;
      return ok({ body: { ...page.value, items: page.value.items.map(journalBody) } });
    },
  });
}

function postJournalRoute(ledger: Ledger): Route {
  return route({
    method: "POST",
    path: "/v1/ledger/journals",
    operationId: "postJournal",
    summary: "Post a journal",
    description: "Debits are positive, credits negative; they sum to zero in every currency.",
    tag,
    access: "secret",
    permission: "ledger:write",
    schemas: {
      body: NewJournal,
      response: Type.Object({ journalId: Uuid, repeated: Type.Boolean() }),
    },
    failures: [
      "ledger.no_entries",
      "ledger.bad_entry",
      "ledger.unbalanced",
      "ledger.unknown_account",
      "ledger.journal_differs",
      "ledger.insufficient_funds",
    ],
    async handle({ ctx, body }) {
      const id = (body.id ?? newId()) as JournalId;
      const occurredAt = body.occurredAt === undefined ? momentOf(id) : new Date(body.occurredAt);
      const entries = body.entries.map(({ account, amount, kind }) => ({
        account,
        ...amount,
        ...(kind === undefined ? {} : { kind }),
      }));
      const { kind, description, reference } = body;
      const about = reference === undefined ? {} : { reference };
      const journal = { id, kind, description, occurredAt, entries, ...about };
      const posted = await ledger.post(ctx, journal);
      return posted.ok ? ok({ status: 201, body: posted.value }) : posted;
    },
  });
}

/** The id's own moment rather than the clock's: a retry must say the same. */
function momentOf(id: JournalId): Date {
  const isTimeOrdered = id[14] === "7";
  const minted = timeOfId(id);
  return isTimeOrdered && minted.getUTCFullYear() < 10_000 ? minted : new Date(0);
}

const HoldBody = Type.Object({
  id: Uuid,
  account: AccountCode,
  currency: Currency,
  amountMinor: Minor,
  postedMinor: Minor,
  state: Type.Union([Type.Literal("active"), Type.Literal("posted"), Type.Literal("released")]),
  reference: Type.Optional(Type.String()),
});

function holdRoutes(ledger: Ledger): readonly Route[] {
  const place = route({
    method: "POST",
    path: "/v1/ledger/holds",
    operationId: "placeHold",
    summary: "Promise part of the balance of an account with a floor",
    tag,
    access: "secret",
    permission: "ledger:write",
    schemas: {
      body: Type.Object(
        {
          id: Type.Optional(Uuid),
          account: AccountCode,
          currency: Currency,
          amountMinor: Type.Integer({ minimum: 1, maximum: amountMinorMax }),
          reference: Type.Optional(Reference),
        },
        strict,
      ),
      response: HoldBody,
    },
    failures: ["ledger.insufficient_funds", "ledger.no_floor", "ledger.hold_differs"],
    async handle({ ctx, body }) {
      const held = await ledger.placeHold(ctx, { ...body, id: (body.id ?? newId()) as HoldId });
      return held.ok ? ok({ status: 201, body: held.value }) : held;
    },
  });
  const release = route({
    method: "DELETE",
    path: "/v1/ledger/holds/{id}",
    operationId: "releaseHold",
    summary: "Give a hold back",
    tag,
    access: "secret",
    permission: "ledger:write",
    schemas: { params: Type.Object({ id: Uuid }), response: HoldBody },
    failures: ["ledger.hold_not_found", "ledger.hold_closed"],
    async handle({ ctx, params }) {
      const released = await ledger.releaseHold(ctx, params.id as HoldId);
      return released.ok ? ok({ body: released.value }) : released;
    },
  });
  return [place, release];
}

function verifyRoute(ledger: Ledger): Route {
  return route({
    method: "POST",
    path: "/v1/ledger/verify",
    operationId: "verifyLedger",
    summary: "Recompute the hash chain over all sealed entries",
    tag,
    access: "secret",
    permission: "ledger:read",
    idempotency: "none",
    schemas: {
      response: Type.Object({
        intact: Type.Boolean(),
        sealsChecked: Type.Integer(),
        entriesChecked: Type.Integer(),
        entriesUnsealed: Type.Integer(),
        head: Type.String(),
        brokenSeal: Type.Optional(Type.Integer()),
      }),
    },
    handle: async ({ ctx }) => ok({ body: await ledger.verify(ctx.tenantId) }),
  });
}

function accountBody(account: AccountBalance) {
  const { code, kind, currency, floorMinor } = account;
  const money = (amountMinor: number) => ({ amountMinor, currency });
  return {
    code,
    kind,
    currency,
    balance: money(account.balanceMinor),
    normalBalance: money(account.normalBalanceMinor),
    held: money(account.heldMinor),
    ...(floorMinor === undefined ? {} : { floor: money(floorMinor) }),
  };
}

function lineBody(
  { amountMinor, balanceMinor, occurredAt, ...line }: StatementLine,
  currency: string,
) {
  return {
    ...line,
    occurredAt: occurredAt.toISOString(),
    amount: { amountMinor, currency },
    balance: { amountMinor: balanceMinor, currency },
  };
}

function journalBody({ entries, occurredAt, recordedAt, ...journal }: PostedJournal) {
  return {
    ...journal,
    occurredAt: occurredAt.toISOString(),
    recordedAt: recordedAt.toISOString(),
    entries: entries.map(({ account, amountMinor, currency }) => ({
      account,
      amount: { amountMinor, currency },
    })),
  };
}
