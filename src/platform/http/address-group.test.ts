import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { addressGroup } from "./address-group.ts";

describe("what limits count as one address", () => {
  for (const [ip, group] of [
    ["203.0.113.7", "203.0.113.7"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"],
    ["2001:DB8::1:ffff", "2001:db8:0:0::/64"],
    ["2001:0db8::", "2001:db8:0:0::/64"],
    ["2001:db8:1:2:3::5", "2001:db8:1:2::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["64:ff9b:1:2:3::203.0.113.7", "64:ff9b:1:2::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["unknown", "unknown"],
  ] as const) {
    it(`${ip} in ${group}`, () => assert.equal(addressGroup(ip), group));
  }
});
