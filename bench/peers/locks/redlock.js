// Lock libraries on one Redis: plain JavaScript, because they are not installed where types are
// checked.
import { Redlock as Sesame } from "@sesamecare-oss/redlock";
import Redlock from "redlock";

/**
 * @param {import("ioredis").Redis} client
 * @param {number} leaseMs milliseconds
 * @returns {[name: string, cycle: (lock: string) => Promise<unknown>][]}
 */
export function createSubjects(client, leaseMs) {
  const [first, second] = [new Redlock([client]), new Sesame([client])];
  return [
    ["redlock", async (name) => (await first.acquire([`first:${name}`], leaseMs)).release()],
    [
      "@sesamecare-oss/redlock",
      async (name) => (await second.acquire([`second:${name}`], leaseMs)).release(),
    ],
  ];
}
