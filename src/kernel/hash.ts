/**
 * MurmurHash3 (x86, 32 bits) of a text as UTF-16, little endian: fast, spreads sequential texts evenly,
 * the same on every machine. Anybody can make collisions: not for signatures, not for what strangers choose.
 *
 * @param seed any 32-bit whole number
 * @returns 0 to 2 ** 32 - 1
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp
 */
export function murmur3(text: string, seed = 0): number {
  const units = text.length;
  let hash = seed;
  for (let at = 0; at + 1 < units; at += 2) {
    hash ^= scramble(text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16));
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64;
  }
  if (units & 1) hash ^= scramble(text.charCodeAt(units - 1));
  return mix32(hash ^ (units * 2));
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

/** Lets every bit of a 32-bit number change about half of the bits of the result; no two give the same. */
export function mix32(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
