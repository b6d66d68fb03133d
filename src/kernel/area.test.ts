import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { areaMatch, closestByArea, findAreaProblem } from "./area.ts";

describe("areas", () => {
  it("cover a destination the more closely the more they say about it", () => {
    const destination = { countryCode: "US", region: "ny", postalCode: "100-01" };
    const matches = [
      { country: "DE" },
      { country: "US", regions: ["CA"] },
      { country: "*" },
      { country: "US" },
      { country: "US", regions: ["CA", "NY "] },
      { country: "US", postalPrefixes: ["1"] },
      { country: "US", postalPrefixes: ["9", "1", "10 0"] },
    ].map((area) => areaMatch(area, destination));
    assert.deepEqual(matches, [0, 0, 1, 2, 3, 4, 6]);
  });

  it("choose the closest candidate, the earlier of equals", () => {
    const world = { areas: [{ country: "*" }] };
    const first = { areas: [{ country: "FR" }, { country: "DE" }] };
    const second = { areas: [{ country: "DE" }] };
    assert.equal(closestByArea([world, first, second], { countryCode: "DE" }), first);
    assert.equal(closestByArea([second], { countryCode: "JP" }), undefined);
  });

  it("name real countries and no blank prefixes", () => {
    assert.equal(findAreaProblem([{ country: "DE" }, { country: "*" }]), undefined);
    assert.match(findAreaProblem([{ country: "XX" }]) ?? "", /XX/);
    assert.match(findAreaProblem([{ country: "DE", postalPrefixes: [" "] }]) ?? "", /blank/);
    assert.match(findAreaProblem([]) ?? "", /at least one/);
  });
});
