import { describe, expect, it } from "vitest";
import { type Random, seeded } from "../../../core/random.ts";
import { chooseByWeight, type Weighed, weightOf } from "../../../core/routing/choose-by-weight.ts";
import type { Standing } from "../../../core/routing/standing.ts";

interface Named extends Weighed {
  readonly name: string;
}

const MEDIAN = 50;

function daemon(name: string, standing: Partial<Standing> = {}, more: Partial<Omit<Named, "running">> = {}): Named {
  return {
    name,
    loaded: true,
    slots: 4,
    sharedSlots: 4,
    elsewhere: 0,
    running: { size: 0 },
    standing: {
      reliability: 0.5,
      quality: 0.5,
      tokensPerSecond: MEDIAN,
      newcomer: false,
      quarantined: false,
      ...standing,
    },
    ...more,
  };
}

const everybody = (_: Named): boolean => true;
const plain = (_: Named): number => 1;

/** How often each daemon is chosen in so many decisions, as parts of 1. */
function shares(
  free: readonly Named[],
  { count = 20_000, exploration = 0, eligible = everybody, random = seeded(7), factor = plain } = {},
): Record<string, number> {
  const shares: Record<string, number> = Object.fromEntries(free.map(({ name }) => [name, 0]));
  for (let at = 0; at < count; at++) {
    const chosen = chooseByWeight(free, eligible, MEDIAN, random, { exploration, factor });
    if (chosen !== null) shares[chosen.name] = (shares[chosen.name] ?? 0) + 1 / count;
  }
  return shares;
}

describe("the weight", () => {
  it("is quality · min(1, speed / median) · (1 − load)", () => {
    expect(weightOf(daemon("a"), MEDIAN)).toBe(0.5);
    expect(weightOf(daemon("a", { tokensPerSecond: 25 }), MEDIAN)).toBe(0.25);
    expect(weightOf(daemon("a", { tokensPerSecond: 500 }), MEDIAN)).toBe(0.5);
    expect(weightOf({ ...daemon("a"), running: { size: 3 } }, MEDIAN)).toBe(0.125);
    // What it serves for other models is load too.
    expect(weightOf({ ...daemon("a"), elsewhere: 2, running: { size: 1 } }, MEDIAN)).toBe(0.125);
  });
});

describe("a choice", () => {
  it("is the better of two that are drawn by weight", () => {
    // Weights 0.1, 0.3 and 0.6 of 1: the best wins unless both draws miss it.
    const free = [
      daemon("low", { quality: 0.08 }),
      daemon("mid", { quality: 0.24 }),
      daemon("high", { quality: 0.48 }),
    ];
    const { low, mid, high } = shares(free);
    expect(high).toBeCloseTo(1 - 0.4 ** 2, 1.5);
    expect(mid).toBeCloseTo(0.4 ** 2 - 0.1 ** 2, 1.5);
    expect(low).toBeCloseTo(0.01, 1.5);
  });

  it("has the same distribution where most draws miss and all are looked at", () => {
    const weights = [0.1, 0.3, 0.6].map((part) => part / 1_000);
    const free = weights.map((quality, index) => daemon(`${index}`, { quality }));
    expect(shares(free)["2"]).toBeCloseTo(1 - 0.4 ** 2, 1.5);
    expect(shares(free)["0"]).toBeCloseTo(0.01, 1.5);
  });

  it("is among those that have the model loaded, and among all where none has", () => {
    const cold = daemon("cold", { quality: 0.9 }, { loaded: false });
    const warm = daemon("warm", { quality: 0.01 });
    expect(shares([cold, warm], { count: 200 })).toEqual({ cold: 0, warm: expect.closeTo(1) });
    expect(shares([cold], { count: 20 })).toEqual({ cold: expect.closeTo(1) });
    // One that is loaded and may not serve is none.
    const eligible = (at: Named) => at.name === "cold";
    expect(shares([cold, warm], { count: 20, eligible })).toMatchObject({ warm: 0 });
  });

  it("finds the only one that is eligible among a thousand, and nobody where none is", () => {
    const free = Array.from({ length: 1_000 }, (_, index) => daemon(`${index}`));
    const only = (at: Named) => at.name === "617";
    expect(chooseByWeight(free, only, MEDIAN, seeded(1), { exploration: 0 })?.name).toBe("617");
    expect(chooseByWeight(free, () => false, MEDIAN, seeded(1), { exploration: 0.05 })).toBeNull();
    expect(chooseByWeight([], everybody, MEDIAN, seeded(1), { exploration: 0.05 })).toBeNull();
  });

  it("multiplies the weight by what the job brings", () => {
    const free = [daemon("cheap"), daemon("dear")];
    const { dear } = shares(free, { factor: (at) => (at.name === "dear" ? 1 / 3 : 1) });
    expect(dear).toBeCloseTo(1 / 16, 1.5);
  });

  it("looks at a few daemons, however many there are", () => {
    const free = Array.from({ length: 10_000 }, (_, index) => daemon(`${index}`, { quality: 0.25 }));
    let looked = 0;
    const eligible = () => (looked++, true);
    shares(free, { count: 1_000, eligible });
    expect(looked / 1_000).toBeLessThan(3);
  });
});

describe("newcomers", () => {
  const known = Array.from({ length: 20 }, (_, index) => daemon(`known ${index}`, { quality: 0.9 }));
  const newcomer = daemon("new", { quality: 0.001, newcomer: true });

  it("get a twentieth of the jobs, however little they weigh", () => {
    const { new: share } = shares([...known, newcomer], { exploration: 0.05 });
    expect(share).toBeGreaterThan(0.045);
    expect(share).toBeLessThan(0.055);
    expect(shares([...known, newcomer], { exploration: 0 }).new).toBeLessThan(0.001);
  });

  it("get nothing out of turn where none may serve", () => {
    const eligible = (at: Named) => at.name !== "new";
    expect(shares([...known, newcomer], { exploration: 0.05, eligible, count: 2_000 }).new).toBe(0);
  });

  it("share their part evenly", () => {
    const random: Random = seeded(3);
    const other = daemon("other", { quality: 0.002, newcomer: true });
    const { new: one = 0, other: two = 0 } = shares([...known, newcomer, other], { exploration: 0.5, random });
    expect(one / two).toBeGreaterThan(0.9);
    expect(one / two).toBeLessThan(1.1);
  });
});
