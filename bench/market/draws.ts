/** What a market is made of by chance, from numbers that follow from its seed. */

import { type Random, seeded } from "../../core/random.ts";

/** Numbers of their own for one account or daemon, so that what it does never depends on the others. */
export function streamOf(seed: number, kind: number, index: number): Random {
  return seeded(Math.imul(seed, 0x9e3779b1) ^ Math.imul(kind + 1, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35));
}

/** A time until something that may happen at any moment alike, or a size that has no memory either; the mean is given. */
export function exponential(random: Random, mean: number): number {
  return -mean * Math.log(1 - random());
}

/** A whole number from `least` to `most`. */
export function whole(random: Random, least: number, most: number): number {
  return least + Math.floor(random() * (most - least + 1));
}

/** One of several, each with its chance; the chances come to 1. */
export function oneOf<T>(random: Random, chances: readonly (readonly [value: T, chance: number])[]): T {
  let left = random();
  for (const [value, chance] of chances) {
    left -= chance;
    if (left < 0) return value;
  }
  const last = chances.at(-1);
  if (last === undefined) throw new RangeError("there is nothing to draw from");
  return last[0];
}
