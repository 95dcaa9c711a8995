/** How good a daemon is, for asks that are equal (economics.md §4). */

import { WHOLE } from "../lanes.ts";
import { type BasisPoints, mulDivFloor } from "../units.ts";
import { countBefore } from "./sorted.ts";

/** 0.6 · reliability + 0.4 · speed percentile, rounded to 0.05 (halves up): 0 to 20 twentieths. */
export function qualityOf(reliability: BasisPoints, percentile: BasisPoints): number {
  // (6 · r + 4 · p) / 100,000 of the whole, in twentieths: divided by 5,000.
  return Math.floor((6 * reliability + 4 * percentile + 2_500) / 5_000);
}

/** The part of a pool's daemons that are at most as fast, in basis points. `speeds` are those of all of them, ascending. */
export function speedPercentile(speeds: readonly number[], speed: number): BasisPoints {
  if (speeds.length === 0) return WHOLE;
  const slower = countBefore(speeds, (other) => other <= speed);
  return mulDivFloor(slower, WHOLE, speeds.length) as BasisPoints;
}
