import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, iterate, ProblemError, take } from "./index.ts";

test("calls carry the key and the brand, and answers are data or a problem", async () => {
  const requests: Request[] = [];
  const answers = [
    Response.json({ items: [] }),
    Response.json(
      { type: "urn:x", title: "Not found", status: 404, code: "orders.not_found" },
      { status: 404 },
    ),
    new Response("<html>bad gateway</html>", {
      status: 502,
      headers: { "content-type": "text/html" },
    }),
  ];
  const client = createClient({
    baseUrl: "http://shop.test",
    key: "sk_1",
    tenantId: "t1",
    fetch: async (request) => {
      requests.push(request);
      return answers.shift() ?? Response.error();
    },
  });
  const orders = client.GET("/v1/orders", { params: { query: { limit: 2, status: "paid" } } });
  assert.deepEqual(await take(orders), { items: [] });
  assert.equal(requests[0]?.url, "http://shop.test/v1/orders?limit=2&status=paid");
  assert.equal(requests[0]?.headers.get("authorization"), "Bearer sk_1");
  assert.equal(requests[0]?.headers.get("brandos-tenant"), "t1");
  const find = () => take(client.GET("/v1/orders/{id}", { params: { path: { id: "x" } } }));
  const isProblem = (code: string) => (error: unknown) =>
    error instanceof ProblemError && error.code === code;
  await assert.rejects(find(), isProblem("orders.not_found"));
  await assert.rejects(find(), isProblem("http.502"));
});

test("a list is walked page after page, and no further than it is asked for", async () => {
  const asked: (string | undefined)[] = [];
  const load = async (cursor: string | undefined) => {
    asked.push(cursor);
    return cursor === undefined
      ? { items: [1, 2], nextCursor: "b" }
      : { items: [3], nextCursor: undefined };
  };
  const all: number[] = [];
  for await (const item of iterate(load)) all.push(item);
  assert.deepEqual(all, [1, 2, 3]);
  assert.deepEqual(asked, [undefined, "b"]);
  for await (const item of iterate(load)) if (item === 1) break;
  assert.deepEqual(asked, [undefined, "b", undefined]);
});
