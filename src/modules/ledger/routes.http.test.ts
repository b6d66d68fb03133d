import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { createHealth } from "../../platform/http/health.ts";
import { createMetrics } from "../../platform/http/metrics.ts";
import { createHttpServer, type HttpServer } from "../../platform/http/server.ts";
import { idempotencyFailureStatuses } from "../../platform/idempotency/contract.ts";
import { ledgerFailureStatuses } from "./contract.ts";
import { ledgerRoutes } from "./index.ts";
import { type LedgerBench, openLedgerBench } from "./setup.fixture.ts";

// biome-ignore lint/suspicious/noExplicitAny: whatever the server sends
type Body = any;

let bench: LedgerBench;
let server: HttpServer;
let url: string;
before(async () => {
  bench = await openLedgerBench();
  const health = createHealth([]);
  server = await createHttpServer({
    routes: ledgerRoutes(bench.ledger),
    authenticate({ token }) {
      const actor = { kind: "api_key", id: "key" } as const;
      const tenantId = token as TenantId | undefined;
      if (!tenantId) return fail({ code: "auth.invalid_credential" });
      return ok({ kind: "secret", tenantId, actor, permissions: ["*"] });
    },
    health,
    metrics: createMetrics(),
    info: { title: "Test", version: "1" },
    failureStatuses: { ...ledgerFailureStatuses, ...idempotencyFailureStatuses },
    log: { info() {}, warn() {}, error() {} },
  });
  health.markStarted();
  ({ url } = await server.listen({ port: 0 }));
});
after(async () => {
  await server.close();
  await bench.stop();
});

/** A brand that talks to the server with its own key. */
function openShop() {
  const tenantId = newId<"tenant">();
  const ask = async (method: string, path: string, body?: unknown, headers: object = {}) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${tenantId}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: (text === "" ? undefined : JSON.parse(text)) as Body };
  };
  const post = (amountMinor: number, change: object = {}, headers: object = {}) =>
    ask(
      "POST",
      "/v1/ledger/journals",
      {
        kind: "test.sale",
        description: "A sale",
        entries: [
          { account: "receivable", amount: { amountMinor, currency: "EUR" } },
          { account: "sales", amount: { amountMinor: -amountMinor, currency: "EUR" } },
        ],
        ...change,
      },
      headers,
    );
  return { ask, post };
}

test("journals are posted, found by reference, shown in statements and in the trial balance", async () => {
  const { ask, post } = openShop();
  assert.equal((await post(1_500, { reference: "order:7" })).status, 201);
  assert.equal((await post(500)).status, 201);
  const found = await ask("GET", "/v1/ledger/journals?reference=order:7");
  assert.equal(found.body.items.length, 1);
  assert.deepEqual(found.body.items[0].entries[1], {
    account: "sales",
    amount: { amountMinor: -1_500, currency: "EUR" },
  });
  const statement = await ask("GET", "/v1/ledger/accounts/sales/statement?currency=EUR");
  assert.deepEqual(
    statement.body.items.map((line: Body) => [line.amount.amountMinor, line.balance.amountMinor]),
    [
      [-500, -2_000],
      [-1_500, -1_500],
    ],
  );
  const trial = await ask("GET", "/v1/ledger/trial-balance");
  assert.deepEqual(trial.body.totals, [
    { currency: "EUR", debitMinor: 2_000, creditMinor: 2_000, differenceMinor: 0 },
  ]);
  const accounts = await ask("GET", "/v1/ledger/accounts");
  assert.deepEqual(
    accounts.body.items.map((each: Body) => [each.code, each.normalBalance.amountMinor]),
    [
      ["receivable", 2_000],
      ["sales", 2_000],
    ],
  );
  const verified = await ask("POST", "/v1/ledger/verify");
  assert.deepEqual([verified.status, verified.body.intact], [200, true]);
  const missing = await ask("GET", "/v1/ledger/accounts/nothing/statement?currency=EUR");
  assert.deepEqual([missing.status, missing.body.code], [404, "ledger.account_not_found"]);
});

test("a retry posts once, by id or by idempotency key", async () => {
  const { ask, post } = openShop();
  const id = newId();
  assert.deepEqual((await post(5, { id })).body, { journalId: id, repeated: false });
  assert.deepEqual((await post(5, { id })).body, { journalId: id, repeated: true });
  const other = await post(6, { id });
  assert.deepEqual([other.status, other.body.code], [409, "ledger.journal_differs"]);
  const key = { "idempotency-key": "k" };
  const first = await post(7, {}, key);
  assert.deepEqual((await post(7, {}, key)).body, first.body);
  assert.equal((await post(8, {}, key)).status, 422);
  const accounts = await ask("GET", "/v1/ledger/accounts");
  assert.equal(accounts.body.items[0].balance.amountMinor, 12);
});

test("what does not balance, is unknown or malformed is refused with a reason", async () => {
  const { ask, post } = openShop();
  const leg = (account: string, amountMinor: number, currency = "EUR") => ({
    account,
    amount: { amountMinor, currency },
  });
  const cases: readonly (readonly [object, number, string?])[] = [
    [{ entries: [leg("receivable", 5), leg("sales", -4)] }, 422, "ledger.unbalanced"],
    [{ entries: [leg("receivable", 5), leg("sales", -5, "USD")] }, 422, "ledger.unbalanced"],
    [{ entries: [leg("receivable", 0), leg("sales", 0)] }, 422, "ledger.no_entries"],
    [{ entries: [leg("mystery", 5), leg("sales", -5)] }, 422, "ledger.unknown_account"],
    [{ entries: [leg("receivable", 5)] }, 400],
    [{ id: newId().toUpperCase() }, 400],
    [{ occurredAt: "0000-01-01T00:00:00Z" }, 400],
    [{ occurredAt: "1969-12-31T23:59:59+00:00" }, 400],
    [{ occurredAt: "2199-12-31T23:59:59-14:00" }, 201],
    [{ entries: [leg("Receivable", 5), leg("sales", -5)] }, 400],
    [{ entries: [leg("receivable", 1e15), leg("sales", -1e15)] }, 400],
    [{ id: "ffffffff-ffff-4fff-bfff-ffffffffffff" }, 201],
    [{ id: "ffffffff-ffff-7fff-bfff-ffffffffffff" }, 201],
  ];
  for (const [change, status, code] of cases) {
    const answer = await post(5, change);
    assert.deepEqual(
      [answer.status, code && answer.body.code],
      [status, code],
      JSON.stringify(change),
    );
  }
  const statement = await ask("GET", "/v1/ledger/accounts/sales/statement?currency=EUR&limit=1");
  assert.equal(statement.status, 200);
  const next = `/v1/ledger/accounts/sales/statement?currency=EUR&limit=1&cursor=`;
  assert.equal((await ask("GET", next + statement.body.nextCursor)).status, 200);
  assert.equal((await openShop().ask("GET", next + statement.body.nextCursor)).status, 400);
});

test("a wallet takes holds up to its balance", async () => {
  const { ask, post } = openShop();
  const wallet = { code: "wallet:ann", currency: "EUR", kind: "liability", floorMinor: 0 };
  assert.equal((await ask("POST", "/v1/ledger/accounts", wallet)).status, 201);
  const leg = (account: string, amountMinor: number) => ({
    account,
    amount: { amountMinor, currency: "EUR" },
  });
  await post(0, { entries: [leg("bank", 100), leg("wallet:ann", -100)] });
  const wish = { account: "wallet:ann", currency: "EUR", amountMinor: 80 };
  const held = await ask("POST", "/v1/ledger/holds", wish);
  assert.equal(held.status, 201);
  assert.equal((await ask("POST", "/v1/ledger/holds", wish)).status, 409);
  const spent = await post(0, { entries: [leg("wallet:ann", 30), leg("sales", -30)] });
  assert.deepEqual([spent.status, spent.body.code], [409, "ledger.insufficient_funds"]);
  assert.equal((await ask("DELETE", `/v1/ledger/holds/${held.body.id}`)).status, 200);
  assert.equal((await ask("POST", "/v1/ledger/holds", wish)).status, 201);
});
