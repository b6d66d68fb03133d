import net from "node:net";

/**
 * What limits count as one address: an IPv4 address, or the /64 an IPv6 address is in. Whoever has one
 * address of a /64 has all 2^64 of them.
 *
 * @param ip as a socket gives it, or a trusted proxy
 * @returns `203.0.113.7`, or `2001:db8:0:1::/64`; what is no address as it is
 * @see https://www.rfc-editor.org/rfc/rfc6177 3: what a site is given
 */
export function addressGroup(ip: string): string {
  if (!net.isIPv6(ip)) return ip;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped) return mapped;
  const [head = "", tail] = ip.replace(/%.*$/, "").split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const behind = tail === "" ? [] : tail.split(":");
    // An IPv4 address at the end stands for two groups.
    const left = 8 - groups.length - behind.length - (tail.includes(".") ? 1 : 0);
    groups.push(...Array.from({ length: left }, () => "0"), ...behind);
  }
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(":")}::/64`;
}
