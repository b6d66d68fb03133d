import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertPublicUrl, isPublicAddress } from "./addresses.ts";

const hidden = [
  "127.0.0.1",
  "10.1.2.3",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "198.18.0.1",
  "::1",
  "::",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "0:0:0:0:0:ffff:10.0.0.1",
  "64:ff9b::7f00:1",
  "fc00::1",
  "fd12:3456::1",
  "fe80::1",
  "ff02::1",
  "2001:db8::1",
  "2002:7f00:1::",
  "not an address",
];
const open = [
  "1.1.1.1",
  "8.8.8.8",
  "172.32.0.1",
  "93.184.216.34",
  "2606:4700::1111",
  "::ffff:8.8.8.8",
];

describe("public addresses", () => {
  for (const address of hidden) {
    it(`hides ${address}`, () => assert.equal(isPublicAddress(address), false));
  }
  for (const address of open) {
    it(`reaches ${address}`, () => assert.equal(isPublicAddress(address), true));
  }
  const spellings = [
    "http://0x7f.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://[::ffff:7f00:1]/",
    "http://127.1/",
    "https://user:secret@example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
  ];
  for (const url of spellings) {
    it(`refuses ${url} before connecting`, () => {
      assert.throws(() => assertPublicUrl(new URL(url)), { code: "ERR_OUTGOING_FORBIDDEN" });
    });
  }
  it("lets a host name pass to the lookup", () => {
    assert.doesNotThrow(() => assertPublicUrl(new URL("https://example.com:8443/hook?x=1")));
  });
});
