import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Asking, Asks } from "../../../core/auction/asks.ts";
import { demandOf } from "../../../core/auction/demand.ts";
import { qualityOf, speedPercentile } from "../../../core/auction/quality.ts";
import {
  askAt,
  askRate,
  compareStanding,
  roundedUp,
  standingAsk,
  standingFloor,
} from "../../../core/auction/standing.ts";
import type { DaemonId } from "../../../core/ids.ts";
import { withParameters } from "../../../core/parameters.ts";
import { type ElectricityFloor, isFloorWithin, perThousand, priceAtRate } from "../../../core/pricing.ts";
import { type BasisPoints, basisPoints, nanoUsd } from "../../../core/units.ts";
import { parameters, powerOf } from "./support.ts";

const power = (watts: number, usdPerKwh: number, tokensPerSecond: number, factor = 10): ElectricityFloor => ({
  watts,
  nano_usd_per_kwh: Math.round(usdPerKwh * 1e9),
  decode_millitokens_per_second: tokensPerSecond * 1_000,
  prefill_millitokens_per_second: tokensPerSecond * factor * 1_000,
});
const askOf = (floor: ElectricityFloor, margin: number | null, demand: number) =>
  askAt(standingAsk(standingFloor(floor, parameters), margin as BasisPoints | null, parameters), basisPoints(demand));

describe("standing asks (economics.md §4)", () => {
  it("are the floor times 1.1: 38 W at 50 tok/s and $0.12 come to 30,400 and ask 33,440 nanoUSD for 1,000 tokens", () => {
    const floor = standingFloor(power(38, 0.12, 50), parameters);
    expect(roundedUp(floor)).toBe(30_400);
    expect(askOf(power(38, 0.12, 50), null, 10_000)).toBe(33_440);
  });

  it("are multiplied by demand", () => {
    const at = (demand: number) => askOf(power(38, 0.12, 50), null, demand);
    expect([at(15_000), at(20_000), at(30_000)]).toEqual([50_160, 66_880, 100_320]);
  });

  it("take a provider's margin where it is above 1.1, and never less", () => {
    const at = (margin: number) => askOf(power(38, 0.12, 50), margin, 10_000);
    expect([at(10_000), at(11_000), at(15_000), at(20_000)]).toEqual([33_440, 33_440, 45_600, 60_800]);
  });

  it("round up once, at the end: 506,666⅔ · 1.1 · 2 is 1,114,667, not 1,114,668", () => {
    expect(roundedUp(standingFloor(power(38, 0.4, 10), parameters))).toBe(506_667);
    expect(askOf(power(38, 0.4, 10), null, 20_000)).toBe(1_114_667);
  });

  it("cover prompts too, where reading is slow: a prompt token pays a quarter", () => {
    // At the same speed 1,000 completion tokens cost 30,400, and so do 1,000 prompt tokens, which pay a quarter of the ask.
    expect(roundedUp(standingFloor(power(38, 0.12, 50, 1), parameters))).toBe(4 * 30_400);
    expect(roundedUp(standingFloor(power(38, 0.12, 50, 4), parameters))).toBe(30_400);
    const free = withParameters({ promptWeightNumerator: 0 });
    expect(roundedUp(standingFloor(power(38, 0.12, 50, 1), free))).toBe(30_400);
  });

  it("become a rate in which a prompt token weighs a quarter", () => {
    const rate = askRate(nanoUsd(33_440), parameters);
    expect(perThousand(rate)).toBe(33_440);
    expect(priceAtRate(rate, { prompt: 1_000, completion: 0 })).toBe(8_360);
    expect(priceAtRate(rate, { prompt: 9, completion: 27 })).toBe(Math.ceil((33_440 * (27 + 9 / 4)) / 1_000));
  });

  const powers = fc.record({
    watts: fc.integer({ min: 1, max: 100_000 }),
    nano_usd_per_kwh: fc.integer({ min: 0, max: 10_000_000_000 }),
    decode_millitokens_per_second: fc.integer({ min: 1, max: 10_000_000 }),
    prefill_millitokens_per_second: fc.integer({ min: 1, max: 1_000_000_000 }),
  });

  it("never let a provider serve at a loss, whatever the mix of tokens", () => {
    fc.assert(
      fc.property(powers, fc.option(fc.integer({ min: 10_000, max: 1_000_000 })), (floor, margin) => {
        fc.pre(floor.watts * floor.nano_usd_per_kwh < 1e11 * floor.decode_millitokens_per_second);
        fc.pre(floor.watts * floor.nano_usd_per_kwh < 1e11 * floor.prefill_millitokens_per_second);
        expect(isFloorWithin(floor, askRate(askOf(floor, margin, 10_000), parameters))).toBe(true);
        // And the floor is the least that does: a nanoUSD less, and some mix costs more than it pays.
        const least = roundedUp(standingFloor(floor, parameters));
        if (least > 0) expect(isFloorWithin(floor, askRate(nanoUsd(least - 1), parameters))).toBe(false);
      }),
    );
  });

  it("are compared exactly, also where doubles cannot tell them apart", () => {
    const exact = (a: ElectricityFloor, b: ElectricityFloor) => {
      const [x, y] = [a, b].map((each) => standingFloor(each, parameters));
      if (x === undefined || y === undefined) throw new Error("both are there");
      const [left, right] = [x.numerator * y.denominator, y.numerator * x.denominator];
      expect(Math.sign(compareStanding(x, y))).toBe(left < right ? -1 : left > right ? 1 : 0);
    };
    const near = (speed: number): ElectricityFloor => ({
      ...powerOf(1),
      watts: 99_991,
      nano_usd_per_kwh: 9_999_999_967,
      decode_millitokens_per_second: speed,
      prefill_millitokens_per_second: 1e12,
    });
    exact(near(9_007_199_254_740_990), near(9_007_199_254_740_991));
    exact(near(9_007_199_254_740_991), near(9_007_199_254_740_990));
    fc.assert(fc.property(powers, powers, exact));
  });
});

describe("demand", () => {
  const at = (slots: number, running: number, queued = 0) => demandOf({ slots, running, queued }, parameters);

  it("is 1 up to 60 % of the slots, 1.5 at 80 %, 2 at all of them", () => {
    expect([at(10, 0), at(10, 6), at(10, 8), at(10, 10)]).toEqual([10_000, 10_000, 15_000, 20_000]);
  });

  it("rounds up to basis points: 2 of 3 slots are 1.1667", () => {
    expect(at(3, 2)).toBe(11_667);
  });

  it("adds 1 for each waiting job per slot beyond them, and never passes 3", () => {
    expect([at(10, 10, 1), at(10, 10, 5), at(10, 10, 10), at(10, 10, 11), at(10, 10, 1_000)]).toEqual([
      21_000, 25_000, 30_000, 30_000, 30_000,
    ]);
    expect(at(3, 3, 1)).toBe(23_334);
  });

  it("lets waiting jobs take up what is free first", () => {
    expect([at(10, 4, 2), at(10, 0, 8), at(10, 6, 9)]).toEqual([10_000, 15_000, 25_000]);
  });

  it("is none without slots", () => {
    expect(at(0, 0)).toBe(null);
    expect(at(0, 3, 4)).toBe(null);
  });

  it("never falls when there is more to do", () => {
    const counts = fc.integer({ min: 0, max: 10_000 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), counts, counts, (slots, running, queued) => {
        const demand = at(slots, running, queued) ?? 0;
        expect(demand).toBeGreaterThanOrEqual(10_000);
        expect(demand).toBeLessThanOrEqual(30_000);
        expect(at(slots, running + 1, queued)).toBeGreaterThanOrEqual(demand);
        expect(at(slots, running, queued + 1)).toBeGreaterThanOrEqual(demand);
      }),
    );
  });
});

describe("quality", () => {
  it("is 0.6 · reliability + 0.4 · speed percentile in twentieths", () => {
    const at = (reliability: number, percentile: number) =>
      qualityOf(basisPoints(reliability), basisPoints(percentile));
    expect([at(0, 0), at(10_000, 10_000), at(5_000, 5_000)]).toEqual([0, 20, 10]);
    expect(at(9_000, 2_500)).toBe(13); // 0.64 → 0.65
    expect(at(5_000, 10_000)).toBe(14); // 0.70
    expect(at(1_250, 0)).toBe(2); // 0.075 → 0.10
    expect(at(1_249, 0)).toBe(1); // 0.0749 → 0.05
  });

  it("counts who is at most as fast", () => {
    const speeds = [10, 20, 20, 50];
    expect([10, 20, 50, 5, 60].map((speed) => speedPercentile(speeds, speed))).toEqual([
      2_500, 7_500, 10_000, 0, 10_000,
    ]);
  });
});

describe("the asks of a pool", () => {
  const asking = (daemon: string, changes: Partial<Asking> = {}): Asking => ({
    daemon: daemon as DaemonId,
    power: powerOf(1_000),
    margin: null,
    speed: 50_000,
    reliability: basisPoints(5_000),
    newcomer: false,
    running: 0,
    idleSince: 0,
    isFree: true,
    ...changes,
  });
  const ids = (bidders: readonly { readonly daemon: string }[]) => bidders.map(({ daemon }) => daemon);

  it("stand in order of price, then quality, then who has been idle longest, then id", () => {
    const asks = new Asks(parameters);
    asks.set(asking("f", { power: powerOf(2_000) }));
    asks.set(asking("e"));
    asks.set(asking("d", { idleSince: 5 }));
    asks.set(asking("c"));
    asks.set(asking("b", { reliability: basisPoints(9_000), idleSince: 9 }));
    asks.set(asking("a", { power: powerOf(900), margin: basisPoints(20_000) }));
    expect(ids(asks.free)).toEqual(["b", "c", "e", "d", "a", "f"]);
    asks.set(asking("c", { isFree: false }));
    expect(ids(asks.free)).toEqual(["b", "e", "d", "a", "f"]);
    expect(ids(asks.all)).toEqual(["b", "c", "d", "e", "a", "f"]);
    asks.drop("b" as DaemonId);
    expect(ids(asks.all)).toEqual(["c", "d", "e", "a", "f"]);
  });

  it("know their newcomers", () => {
    const asks = new Asks(parameters);
    asks.set(asking("a", { newcomer: true }));
    asks.set(asking("b"));
    expect(ids(asks.freeNewcomers)).toEqual(["a"]);
    asks.set(asking("a", { newcomer: false }));
    expect(ids(asks.freeNewcomers)).toEqual([]);
  });

  it("know each quality beside those that are there now", () => {
    const asks = new Asks(parameters);
    const quality = (daemon: string) => asks.all.find((each) => each.daemon === daemon)?.quality;
    asks.set(asking("a", { speed: 10 }));
    expect(quality("a")).toBe(14);
    asks.set(asking("b", { speed: 20 }));
    expect([quality("a"), quality("b")]).toEqual([10, 14]);
    asks.set(asking("a", { speed: 30 }));
    expect([quality("a"), quality("b")]).toEqual([14, 10]);
    asks.drop("b" as DaemonId);
    expect(quality("a")).toBe(14);
  });

  it("takes a speed for another one only where it has moved by more than a twentieth", () => {
    const asks = new Asks(parameters);
    const qualities = () => new Map(asks.all.map(({ daemon, quality }) => [String(daemon), quality]));
    asks.set(asking("a", { speed: 1_000 }));
    asks.set(asking("b", { speed: 1_020 }));
    const before = qualities();
    asks.set(asking("a", { speed: 1_050 }));
    expect(qualities()).toEqual(before);
    asks.set(asking("a", { speed: 1_051 }));
    expect(qualities().get("a")).toBeGreaterThan(before.get("a") ?? 1);
    expect(qualities().get("b")).toBeLessThan(before.get("b") ?? 0);
  });
});
