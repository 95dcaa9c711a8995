/** Three years in which everything happens to a network that may: it grows, shrinks, earns nothing, and comes back. */

import { seeded } from "../../core/random.ts";
import type { Day } from "./simulate.ts";

export const YEARS_DAYS = 3 * 365;
const USD = 1_000_000_000;
const USDC = 1_000_000;
const TOKEN = 1_000_000_000n;

/** A number that goes evenly from one of the points to the next. */
function along(day: number, points: readonly (readonly [day: number, value: number])[]): number {
  const next = points.findIndex(([at]) => at > day);
  const [from, to] = [points[next - 1] ?? points.at(-1), points[next] ?? points.at(-1)];
  if (from === undefined || to === undefined || from === to) return from?.[1] ?? 0;
  return from[1] + ((to[1] - from[1]) * (day - from[0])) / (to[0] - from[0]);
}

/** What happens, with the days on which it does. */
export const EVENTS: readonly (readonly [from: number, to: number, what: string])[] = [
  [600, 660, "no revenue"],
  [700, 703, "no rows"],
  [820, 830, "no stake"],
  [940, 955, "empty treasury"],
];

const isIn = (day: number, what: string) => EVENTS.some(([from, to, name]) => name === what && day >= from && day < to);

/** The days of three years; the same seed gives the same ones. */
export function threeYears(seed: number): Day[] {
  const random = seeded(seed);
  const shares = Array.from({ length: 40 }, () => random() ** 3);
  return Array.from({ length: YEARS_DAYS }, (_, day) => {
    const mean = along(day, [
      [0, 0],
      [300, 2_000],
      [600, 120],
      [660, 80],
      [900, 1_500],
      [YEARS_DAYS, 2_400],
    ]);
    const week = 1 + 0.3 * Math.sin((2 * Math.PI * day) / 7);
    const noise = 0.6 + 0.8 * random();
    // Now and then more is taken back than was earned.
    const takenBack = random() < 0.01 ? mean * 3 : 0;
    const tokens = along(day, [
      [0, 2e6],
      [350, 2e7],
      [620, 6e6],
      [900, 3e7],
      [YEARS_DAYS, 5e7],
    ]);
    const treasury = along(day, [
      [0, 20_000],
      [300, 120_000],
      [660, 40_000],
      [YEARS_DAYS, 90_000],
    ]);
    const revenue = isIn(day, "no revenue") ? 0 : Math.round(mean * week * noise - takenBack);
    const staked = shares.map((share) => BigInt(Math.round((tokens * share) / 10)) * TOKEN);
    return {
      revenue: revenue * USD,
      treasury: isIn(day, "empty treasury") ? 0 : Math.round(treasury) * USDC,
      stakes: isIn(day, "no stake") ? [] : staked,
      use: Math.min(
        1,
        along(day, [
          [0, 0.2],
          [300, 0.9],
          [620, 0.1],
          [800, 0.7],
          [YEARS_DAYS, 1],
        ]) * noise,
      ),
      isMissed: isIn(day, "no rows"),
    };
  });
}
