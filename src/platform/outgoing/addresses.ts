import { type LookupAddress, lookup as systemLookup } from "node:dns";
import { BlockList, isIP, isIPv6, type LookupFunction } from "node:net";
import { OutgoingError } from "./errors.ts";

/**
 * Addresses that are not on the public Internet, by the IANA special-purpose registries.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
const reserved = new BlockList();
for (const range of [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
]) {
  addRange(range, "ipv4");
}
// Only 2000::/3 is given out; of it, what tunnels to IPv4 or is set aside. This leaves out ::1,
// ::ffff:0:0/96 (mapped IPv4, checked as IPv4), 64:ff9b::/96, fc00::/7, fe80::/10 and ff00::/8.
for (const range of ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]) {
  addRange(range, "ipv6");
}
const global = new BlockList();
global.addSubnet("2000::", 3, "ipv6");

function addRange(range: string, family: "ipv4" | "ipv6"): void {
  const [network = "", prefix = "0"] = range.split("/");
  reserved.addSubnet(network, Number(prefix), family);
}

/** Whether an IP address is a public one. A mapped IPv4 address is judged as that IPv4 address. */
export function isPublicAddress(address: string): boolean {
  if (!isIPv6(address)) return isIP(address) === 4 && !reserved.check(address, "ipv4");
  const mapped = mappedIpv4(address);
  if (mapped) return isPublicAddress(mapped);
  return global.check(address, "ipv6") && !reserved.check(address, "ipv6");
}

/** The IPv4 address inside `::ffff:a.b.c.d`, however it is written. */
function mappedIpv4(address: string): string | undefined {
  const canonical = new URL(`http://[${address.split("%")[0]}]`).hostname.slice(1, -1);
  const match = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (!match) return undefined;
  const high = Number.parseInt(match[1] ?? "", 16);
  const low = Number.parseInt(match[2] ?? "", 16);
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** Resolves a host name to its addresses. */
export type ResolveHost = (
  host: string,
  done: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void;

const resolveBySystem: ResolveHost = (host, done) =>
  systemLookup(host, { all: true, verbatim: true }, done);

/**
 * A lookup that refuses hosts with any address that is not public. It is the lookup of the connection
 * itself: there is no second one that could answer differently (DNS rebinding).
 */
export function publicLookup(resolve: ResolveHost = resolveBySystem): LookupFunction {
  return (host, options, callback) => {
    resolve(host, (error, addresses) => {
      if (error) return callback(error, "", 0);
      const [first] = addresses;
      const hidden = addresses.find(({ address }) => !isPublicAddress(address));
      if (hidden || !first) return callback(forbidden(host), "", 0);
      if (options.all) return callback(null, [...addresses]);
      callback(null, first.address, first.family);
    });
  };
}

/**
 * Checks what can be checked of an address before connecting: scheme, credentials, port, and hosts
 * that are written as an IP address (those are never looked up).
 *
 * @throws OutgoingError ERR_OUTGOING_FORBIDDEN
 */
export function assertPublicUrl(url: URL): void {
  if (url.protocol !== "https:" && url.protocol !== "http:") throw forbidden(url.protocol);
  if (url.username !== "" || url.password !== "") throw forbidden("credentials in the address");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0 && !isPublicAddress(host)) throw forbidden(host);
}

function forbidden(what: string): OutgoingError {
  return new OutgoingError("ERR_OUTGOING_FORBIDDEN", `not a public address: ${what}`);
}
