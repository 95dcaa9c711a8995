/** What a soak draws from numbers that follow from its seed. */

import type { Random } from "../../core/random.ts";

export function between(random: Random, least: number, most: number): number {
  return least + random() * (most - least);
}

/** One of a list that is not empty. */
export function pick<T>(random: Random, list: readonly T[]): T {
  const one = list[Math.floor(random() * list.length)];
  if (one === undefined) throw new RangeError("there is nothing to pick from");
  return one;
}
