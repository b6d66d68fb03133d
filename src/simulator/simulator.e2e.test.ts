import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { type LaunchedSimulator, launchSimulator } from "./launch.ts";
import { addUpLog } from "./oracle.ts";

const apiKey = "a secret of the tests";
const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };

describe("the simulated bank as a process", () => {
  let folder: string;
  let bank: LaunchedSimulator;
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "brandos-bank-"));
    bank = await launchSimulator({ folder, port: 0, apiKey });
  });
  after(async () => {
    await bank.stop();
    await rm(folder, { recursive: true });
  });

  const post = async (to: string, body: object, key: object = headers) => {
    const answer = await fetch(`${bank.url}${to}`, {
      method: "POST",
      headers: { ...key },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const pay = (paymentId: string, change: object = {}) =>
    post("/v1/accounts/shop/payments", {
      paymentId,
      amountMinor: 500,
      currency: "EUR",
      token: "tok_test_approved",
      ...change,
    });
  const log = async () => (await fetch(`${bank.url}/log`, { headers })).text();

  it("has written down what it answered for when it is killed the moment after", async () => {
    const ids = Array.from({ length: 40 }, (_, index) => `kill_${index}`);
    const answers = await Promise.all(ids.map((id) => pay(id)));
    await bank.kill();
    for (const { status } of answers) assert.equal(status, 201);
    const sums = addUpLog(await readFile(path.join(folder, "bank.log"), "utf8"));
    for (const id of ids) assert.equal(sums.get(id)?.captures, 1);
    bank = await launchSimulator({ folder, port: 0, apiKey });
    const again = await Promise.all(ids.map((id) => pay(id)));
    for (const { status } of again) assert.equal(status, 200);
    const after = addUpLog(await log());
    for (const id of ids) assert.equal(after.get(id)?.captures, 1);
  });

  it("drops a last line that a crash cut off", async () => {
    await pay("whole");
    await bank.kill();
    await appendFile(path.join(folder, "bank.log"), '{"seq":999,"kind":"payment","payment":{"acc');
    bank = await launchSimulator({ folder, port: 0, apiKey });
    assert.equal((await pay("after")).status, 201);
    for (const line of (await log()).trim().split("\n")) JSON.parse(line);
    const sums = addUpLog(await log(), "shop");
    assert.equal(sums.get("whole")?.capturedMinor, 500);
    assert.equal(sums.get("after")?.capturedMinor, 500);
  });

  it("takes fifty equal charges at once as one", async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => pay("racing")));
    assert.equal(answers.filter(({ status }) => status === 201).length, 1);
    assert.equal(new Set(answers.map(({ body }) => body["reference"])).size, 1);
    assert.equal(addUpLog(await log()).get("racing")?.captures, 1);
  });

  it("keeps cards for whoever has the token, in its log without their number", async () => {
    const number = "5555555555554444";
    const card = { number, expMonth: 12, expYear: 2030, cvc: "999" };
    const made = await post("/tokens", card, { "content-type": "application/json" });
    assert.equal(made.status, 201);
    assert.deepEqual([made.body["brand"], made.body["last4"]], ["mastercard", "4444"]);
    assert.equal((await pay("by_token", { token: made.body["token"] })).status, 201);
    assert.equal((await log()).includes(number), false);
  });

  it("lets browsers of other sites make tokens", async () => {
    const asked = await fetch(`${bank.url}/tokens`, { method: "OPTIONS" });
    assert.equal(asked.status, 204);
    assert.equal(asked.headers.get("access-control-allow-origin"), "*");
  });

  it("talks about money only with those who know its key", async () => {
    for (const key of [{}, { authorization: "Bearer no" }]) {
      assert.equal((await fetch(`${bank.url}/log`, { headers: key })).status, 401);
      assert.equal((await fetch(`${bank.url}/control`, { headers: key })).status, 401);
      assert.equal((await post("/v1/accounts/shop/payments", {}, key)).status, 401);
    }
  });

  for (const change of [
    { amountMinor: 0 },
    { amountMinor: -5 },
    { amountMinor: 1.5 },
    { currency: "eur" },
    { paymentId: "" },
    { captureMode: "later" },
    { returnUrl: "javascript:alert(1)" },
    { token: "tok_nobody" },
  ]) {
    it(`refuses ${JSON.stringify(change)}`, async () => {
      assert.equal((await pay("bad", change)).status, 422);
    });
  }

  it("refuses a body that is too large and one that is no JSON", async () => {
    const send = (body: string) =>
      fetch(`${bank.url}/v1/accounts/shop/payments`, { method: "POST", headers, body });
    assert.equal((await send("x".repeat(70_000))).status, 413);
    assert.equal((await send("{")).status, 422);
  });

  it("does not start twice on one port, nor without a key", async () => {
    const port = Number(new URL(bank.url).port);
    await assert.rejects(launchSimulator({ folder, port, apiKey }), /EADDRINUSE/);
    const weak = launchSimulator({ folder, port: 0, apiKey: "short" });
    await assert.rejects(weak, /SIMULATOR_API_KEY needs 16 characters/);
  });
});
