/** Numbers that follow from a seed, so that what was simulated once can be asked for again. Not for secrets. */

/** The next number from 0 to below 1. */
export type Random = () => number;

/** Mulberry32: 32 bits of state, good enough to draw who leaves when. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
