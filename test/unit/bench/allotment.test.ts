import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chartSvg } from "../../../bench/allotment/chart.ts";
import { alarmsPerSecond } from "../../../bench/allotment/midnight.ts";
import { type Day, type DayResult, simulate } from "../../../bench/allotment/simulate.ts";
import { EVENTS, threeYears, YEARS_DAYS } from "../../../bench/allotment/three-years.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { seeded } from "../../../core/random.ts";
import { EPOCH } from "../../support/daily.ts";

const play = (days: readonly Day[]) => simulate(days, EPOCH, GENESIS_PARAMETERS);

/** What is wrong with some days: nothing, whatever happens to the network. */
function faults(results: readonly DayResult[]): string[] {
  let last = 0n;
  return results.flatMap(({ day, row, granted, spent }) => {
    if (row === null) return granted === 0 && spent === 0 ? [] : [`day ${day} has no row and yet an allotment`];
    const found: string[] = [];
    if (granted > row.obligation || row.obligation > row.budgetMost) found.push(`day ${day} is above its bound`);
    if (row.budgetMost > row.treasury * 20) found.push(`day ${day} costs more than 2 % of the treasury`);
    const step = (last * 5n) / 4n > row.target / 10n ? (last * 5n) / 4n : row.target / 10n;
    const isCut = row.bounds.includes("obligation") || row.bounds.includes("no_stake");
    if (last > 0n && row.rate > step) found.push(`day ${day} rises too fast`);
    if (last > 0n && !isCut && row.rate < (last * 3n) / 4n) found.push(`day ${day} falls too fast`);
    if (last === 0n && !isCut && row.rate !== row.target) found.push(`day ${day} does not recover from zero`);
    last = row.rate;
    return found;
  });
}

describe("three years of the allotment", () => {
  const results = play(threeYears(7));
  const rateOn = (day: number) => results[day]?.row?.rate ?? 0n;

  it("stay within their bounds on each day", () => {
    expect(results).toHaveLength(YEARS_DAYS);
    expect(faults(results)).toEqual([]);
  });

  it("have days at every bound, so that each was tried", () => {
    const seen = new Set(results.flatMap(({ row }) => row?.bounds ?? []));
    expect([...seen].sort()).toEqual(
      ["fall", "genesis_budget", "no_stake", "obligation", "recovery", "revenue", "rise", "treasury"].sort(),
    );
  });

  it("recover from every stretch without an allotment", () => {
    for (const [from, to, what] of EVENTS) {
      if (what !== "no revenue") expect([from, rateOn(from)]).toEqual([from, 0n]);
      expect([to, rateOn(to) > 0n]).toEqual([to, true]);
    }
    // Without revenue the rate goes down to almost nothing, and is back within weeks.
    expect(rateOn(659) * 1_000_000n).toBeLessThan(rateOn(599));
    expect(rateOn(690) * 10n).toBeGreaterThan(rateOn(599));
  });

  it("grant nobody anything on days without a row", () => {
    const [from = 0, to = 0] = EVENTS.find(([, , what]) => what === "no rows") ?? [];
    expect(results.slice(from, to).map(({ granted }) => granted)).toEqual([0, 0, 0]);
    expect(results[to]?.row?.revenues).toHaveLength(to - from + 1);
  });
});

it("holds for years of any kind", () => {
  const year = fc.record({
    seed: fc.integer(),
    scale: fc.constantFrom(0, 0.01, 1, 100),
    missed: fc.double({ min: 0, max: 0.2, noNaN: true }),
  });
  fc.assert(
    fc.property(year, ({ seed, scale, missed }) => {
      const days = threeYears(seed).slice(0, 365);
      const changed = days.map((day, index) => ({
        ...day,
        revenue: Math.round(day.revenue * scale),
        isMissed: ((index * 7_919) % 1_000) / 1_000 < missed,
      }));
      expect(faults(play(changed))).toEqual([]);
    }),
    { numRuns: 12 },
  );
});

it("is taken up by a million accounts without a herd: no second of the ten minutes has many more than another", () => {
  const perSecond = alarmsPerSecond(1_000_000, seeded(7));
  const mean = 1_000_000 / 600;
  expect(perSecond).toHaveLength(600);
  // Six standard deviations of what chance does to equal seconds.
  for (const alarms of perSecond) expect(Math.abs(alarms - mean)).toBeLessThan(6 * Math.sqrt(mean));
});

it("is drawn with a gap where there is no row", () => {
  const svg = chartSvg({
    title: "A title",
    unit: "USD",
    series: [{ name: "a line", colour: "#000", values: [0, 10, null, 10, 0] }],
    events: [[2, 3, "nothing"]],
  });
  expect(svg).toMatch(/^<svg [^>]*viewBox="0 0 860 320"/);
  expect(svg).toContain("nothing");
  expect(svg.match(/ d="(M[^"]*)"/)?.[1]?.match(/M/g)).toHaveLength(2);
});
