import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { signatureOf } from "../../simulator/webhooks.ts";
import { verifySignature } from "./signature.ts";

const now = new Date("2026-01-01T00:00:00Z");
const later = (seconds: number) => new Date(now.getTime() + seconds * 1_000);
const text = '{"id":"evt_1"}';
const body = Buffer.from(text);

describe("signatures of notices", () => {
  it("believes the exact body under any active secret", () => {
    const signature = signatureOf(text, now, ["old", "new"]);
    for (const secrets of [["old"], ["new"], ["other", "new"], ["new", "other"]]) {
      assert.equal(verifySignature({ body, signature, now }, secrets), true);
    }
  });

  it("does not believe another body, another secret, or no secret at all", () => {
    const signature = signatureOf(text, now, ["secret"]);
    const other = Buffer.from('{"id":"evt_1" }');
    assert.equal(verifySignature({ body: other, signature, now }, ["secret"]), false);
    assert.equal(verifySignature({ body, signature, now }, ["Secret"]), false);
    assert.equal(verifySignature({ body, signature, now }, []), false);
  });

  it("does not believe a time that was changed", () => {
    const signature = signatureOf(text, now, ["secret"]).replace(/t=\d+/, "t=1767225601");
    assert.equal(verifySignature({ body, signature, now }, ["secret"]), false);
  });

  it("believes five minutes in either direction and no more", () => {
    const signature = signatureOf(text, now, ["secret"]);
    const at = (seconds: number) =>
      verifySignature({ body, signature, now: later(seconds) }, ["secret"]);
    assert.deepEqual([at(300), at(-300), at(301), at(-301)], [true, true, false, false]);
  });

  for (const signature of [
    "",
    "t=",
    "v1=00",
    "t=1,v1=",
    "t=x,v1=00",
    "nonsense",
    `t=1,${"v1=0,".repeat(99)}`,
  ]) {
    it(`refuses the malformed signature "${signature.slice(0, 20)}"`, () => {
      assert.equal(verifySignature({ body, signature, now }, ["secret"]), false);
    });
  }
});
