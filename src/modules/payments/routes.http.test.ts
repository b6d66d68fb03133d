import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../../kernel/ids.ts";
import { fail, ok } from "../../kernel/result.ts";
import { createHealth } from "../../platform/http/health.ts";
import { createMetrics } from "../../platform/http/metrics.ts";
import { createHttpServer, type HttpServer } from "../../platform/http/server.ts";
import { idempotencyFailureStatuses } from "../../platform/idempotency/contract.ts";
import { signatureOf } from "../../simulator/webhooks.ts";
import { paymentFailureStatuses } from "./contract.ts";
import { paymentRoutes } from "./index.ts";
import { openPaymentBench, openShop, type PaymentBench, type Shop } from "./setup.fixture.ts";

// biome-ignore lint/suspicious/noExplicitAny: whatever the server sends
type Body = any;

describe("payments over HTTP", () => {
  let bench: PaymentBench;
  let shop: Shop;
  let server: HttpServer;
  let url: string;
  before(async () => {
    bench = await openPaymentBench();
    shop = openShop(bench, false);
    const health = createHealth([]);
    const { tenantId } = shop;
    server = await createHttpServer({
      routes: paymentRoutes(shop.payments),
      authenticate({ token }) {
        const actor = { kind: "api_key", id: token } as const;
        if (token === "sk") return ok({ kind: "secret", tenantId, actor, permissions: ["*"] });
        if (token === "pk") return ok({ kind: "publishable", tenantId, actor, permissions: [] });
        if (token !== "sk_read") return fail({ code: "auth.invalid_credential" });
        return ok({ kind: "secret", tenantId, actor, permissions: ["payments:read"] });
      },
      health,
      metrics: createMetrics(),
      info: { title: "Test", version: "1" },
      failureStatuses: { ...paymentFailureStatuses, ...idempotencyFailureStatuses },
      log: { info() {}, warn() {}, error() {} },
    });
    health.markStarted();
    ({ url } = await server.listen({ port: 0 }));
  });
  after(async () => {
    await server.close();
    await bench.stop();
  });

  const ask = async (
    method: string,
    path: string,
    { body, key = "sk", headers = {} }: { body?: unknown; key?: string; headers?: object } = {},
  ): Promise<{ status: number; body: Body; etag: string | null }> => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      body: text === "" ? undefined : JSON.parse(text),
      etag: answer.headers.get("etag"),
    };
  };

  it("shows a payment with its operations, and never its token", async () => {
    const paid = await shop.pay();
    const shown = await ask("GET", `/v1/payments/${paid.id}`);
    assert.equal(shown.status, 200);
    assert.deepEqual(shown.body.captured, { amountMinor: 10_000, currency: "EUR" });
    assert.deepEqual(shown.body.operations, []);
    assert.equal(shown.etag, '"2"');
    assert.doesNotMatch(JSON.stringify(shown.body), /tok_/);
    assert.equal((await ask("GET", `/v1/payments/${newId()}`)).status, 404);
    assert.equal((await ask("GET", "/v1/payments/nonsense")).status, 400);
  });

  it("pages through payments with a cursor that belongs to the list", async () => {
    const orderId = newId<"order">();
    for (const attempt of [1, 2, 3]) await shop.intend({ orderId, attempt });
    const path = `/v1/payments?orderId=${orderId}&limit=2`;
    const first = await ask("GET", path);
    assert.deepEqual(
      first.body.items.map((item: Body) => item.attempt),
      [3, 2],
    );
    const next = `&cursor=${first.body.nextCursor}`;
    const second = await ask("GET", path + next);
    assert.deepEqual(
      second.body.items.map((item: Body) => item.attempt),
      [1],
    );
    assert.equal(second.body.nextCursor, undefined);
    assert.equal((await ask("GET", `/v1/payments?limit=2${next}`)).status, 400);
  });

  it("captures, refunds once per id and per key, and says why not", async () => {
    const held = await shop.pay({ captureMode: "manual" });
    const captured = await ask("POST", `/v1/payments/${held.id}/capture`, {
      body: { amountMinor: 6_000 },
    });
    assert.equal(captured.status, 200);
    assert.equal(captured.body.payment.status, "partially_captured");
    assert.equal((await ask("POST", `/v1/payments/${held.id}/refunds`, { body: {} })).status, 409);
    assert.equal((await ask("POST", `/v1/payments/${held.id}/void`, { body: {} })).status, 200);

    const headers = { "idempotency-key": "refund-1" };
    const asked = { body: { amountMinor: 1_000, reason: "late parcel" }, headers };
    const first = await ask("POST", `/v1/payments/${held.id}/refunds`, asked);
    const again = await ask("POST", `/v1/payments/${held.id}/refunds`, asked);
    assert.deepEqual([first.status, again.status], [201, 201]);
    assert.equal(again.body.operation.id, first.body.operation.id);
    assert.equal((await shop.find(held.id)).refundedMinor, 1_000);

    const tooMuch = await ask("POST", `/v1/payments/${held.id}/refunds`, {
      body: { amountMinor: 5_001 },
    });
    assert.equal(tooMuch.status, 422);
    assert.equal(tooMuch.body.code, "payments.amount_exceeded");
    const zero = await ask("POST", `/v1/payments/${held.id}/refunds`, { body: { amountMinor: 0 } });
    assert.equal(zero.status, 400);
  });

  it("answers 402 when the bank refuses a refund, 202 when it is silent", async () => {
    const refused = await shop.pay({ instrumentToken: "tok_test_refund_refused" });
    const no = await ask("POST", `/v1/payments/${refused.id}/refunds`, { body: {} });
    assert.deepEqual([no.status, no.body.code], [402, "payments.refused"]);
    const paid = await shop.pay();
    await bench.control({ outage: "refuse" });
    const later = await ask("POST", `/v1/payments/${paid.id}/refunds`, { body: {} });
    const refresh = await ask("POST", `/v1/payments/${paid.id}/refresh`, { key: "pk" });
    await bench.control({ outage: "none" });
    assert.deepEqual([later.status, later.body.operation.status], [202, "pending"]);
    assert.deepEqual([refresh.status, refresh.body.code], [503, "payments.provider_unavailable"]);
  });

  it("lets a buyer's browser ask how its payment stands, and nothing else", async () => {
    const waiting = await shop.pay({ instrumentToken: "tok_test_confirmation" });
    const standing = await ask("POST", `/v1/payments/${waiting.id}/refresh`, { key: "pk" });
    assert.equal(standing.status, 200);
    assert.deepEqual(Object.keys(standing.body).sort(), [
      "id",
      "nextActionUrl",
      "orderId",
      "status",
    ]);
    assert.equal((await ask("GET", `/v1/payments/${waiting.id}`, { key: "pk" })).status, 403);
    const capture = await ask("POST", `/v1/payments/${waiting.id}/capture`, {
      body: {},
      key: "sk_read",
    });
    assert.equal(capture.status, 403);
  });

  it("takes signed notices of the exact body without a key, and shows what a person has to see", async () => {
    const paymentId = newId<"payment">();
    const text = JSON.stringify({
      id: "evt_http",
      type: "payment.captured",
      account: shop.tenantId,
      payment: {
        paymentId,
        reference: "pay_1",
        currency: "EUR",
        authorisedMinor: 5,
        capturedMinor: 5,
        refundedMinor: 0,
        isVoided: false,
        operations: [],
      },
    });
    const send = (body: string, signature: string, tenantId: string = shop.tenantId) =>
      fetch(`${url}/v1/webhooks/payments/simulator/${tenantId}`, {
        method: "POST",
        headers: { "content-type": "application/json", "simulator-signature": signature },
        body,
      });
    const signature = signatureOf(text, new Date(), ["old webhook secret"]);
    assert.equal((await send(text, signature)).status, 204);
    assert.equal((await send(text, signature)).status, 204);
    assert.equal((await send(`${text} `, signature)).status, 403);
    assert.equal((await send(text, "")).status, 403);
    assert.equal((await send(text, signature, newId())).status, 400);
    assert.equal((await send("x".repeat(300_000), signature)).status, 413);

    const letters = await ask("GET", "/v1/payments/dead-letters");
    const letter = letters.body.items.find((item: Body) => item.paymentId === paymentId);
    assert.equal(letter.kind, "unknown_payment");
    const retried = await ask("POST", `/v1/payments/dead-letters/${letter.id}/retry`);
    assert.deepEqual([retried.status, retried.body.code], [409, "payments.still_unresolved"]);
    const resolved = await ask("POST", `/v1/payments/dead-letters/${letter.id}/resolve`, {
      body: { resolution: "a test's money" },
    });
    assert.equal(resolved.status, 200);
    const gone = await ask("POST", `/v1/payments/dead-letters/${letter.id}/retry`);
    assert.equal(gone.status, 404);
  });
});
