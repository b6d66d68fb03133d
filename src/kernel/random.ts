/** A source of numbers in [0, 1). Tests and simulations pass a seeded one. */
export type Random = () => number;

/**
 * A small seeded generator (mulberry32): same seed, same sequence. Not for secrets.
 *
 * @param seed any 32-bit whole number
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
