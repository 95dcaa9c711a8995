import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GENESIS_PARAMETERS, withParameters } from "../../../core/parameters.ts";
import { type Effect, type Ending, effectOf } from "../../../core/routing/ending.ts";
import {
  declineFactor,
  isUnreliable,
  NEW_SCORE,
  releasedScore,
  reliabilityOf,
  type Score,
  scored,
} from "../../../core/routing/score.ts";

const after = (effects: readonly Effect[], start: Score = NEW_SCORE): Score =>
  effects.reduce((score, effect) => scored(score, effect, GENESIS_PARAMETERS), start);
const times = (count: number, effect: Effect): Effect[] => Array.from({ length: count }, () => effect);

describe("what an ending does to the score (economics.md §6)", () => {
  const TABLE: Record<Ending, Effect> = {
    completed: "up",
    cancelled: "unchanged",
    declined: "declined",
    refused: "declined",
    failed_unstarted: "down",
    failed: "down",
    outrun: "unchanged",
    timed_out: "down",
    cut: "unchanged",
    unverified: "failed_verification",
    overclaimed: "flagged",
    unjudged: "unchanged",
  };

  it.each(Object.entries(TABLE) as [Ending, Effect][])("%s: %s", (ending, effect) => {
    expect(effectOf(ending, "public")).toBe(effect);
  });

  it("takes an answer that was cut for none in the league alone", () => {
    expect(effectOf("cut", "league")).toBe("down");
    for (const lane of ["included", "dedicated", "private", "public"] as const) {
      expect(effectOf("cut", lane)).toBe("unchanged");
    }
  });
});

describe("the score", () => {
  it("begins at 0.5, and follows the rule's fraction", () => {
    expect(reliabilityOf(NEW_SCORE)).toBe(0.5);
    expect(reliabilityOf(after(["up"]))).toBe(3 / 5);
    expect(reliabilityOf(after(["down"]))).toBe(2 / 5);
  });

  it("halves what 200 jobs ago weighed", () => {
    const half = after(times(200, "down"), { ...NEW_SCORE, alpha: 8 });
    expect(half.alpha).toBeCloseTo(4, 10);
    expect(after(times(200, "up"), { ...NEW_SCORE, beta: 8 }).beta).toBeCloseTo(4, 10);
    // The sum of a geometric series: no more than 1 / (1 − 2^(−1/200)) ever counts.
    expect(after(times(200, "up")).alpha).toBeCloseTo(0.5 / (1 - 0.5 ** (1 / 200)), 8);
  });

  it("fades by jobs that count for or against it, and by no others", () => {
    const known = after(["up", "up", "down"]);
    for (const effect of ["unchanged", "declined", "flagged"] as const) {
      const { alpha, beta, verified } = scored(known, effect, GENESIS_PARAMETERS);
      expect({ alpha, beta, verified }).toEqual({ alpha: known.alpha, beta: known.beta, verified: 2 });
    }
  });

  it("keeps the half-life that the parameters set", () => {
    const one = withParameters({ reliabilityHalfLifeJobs: 1 });
    expect(scored({ ...NEW_SCORE, alpha: 8, beta: 2 }, "up", one)).toMatchObject({ alpha: 5, beta: 1 });
  });

  it("leaves nothing good after a failed verification, and 10 bad at least", () => {
    expect(after(["up", "up", "failed_verification"])).toMatchObject({ alpha: 0, beta: 10, verified: 2 });
    const bad = after(times(40, "down"));
    expect(after(["failed_verification"], bad)).toMatchObject({ alpha: 0, beta: bad.beta });
    expect(bad.beta).toBeGreaterThan(10);
  });

  it("begins again at 3/9 after its quarantine", () => {
    const released = releasedScore(after([...times(5, "up"), "failed_verification"]));
    expect(released).toMatchObject({ alpha: 1, beta: 4, verified: 5 });
    expect(reliabilityOf(released)).toBe(3 / 9);
    expect(isUnreliable(released, GENESIS_PARAMETERS)).toBe(false);
  });

  it("is too low for jobs below 0.2, which a new daemon reaches with its seventh failure in a row", () => {
    expect(isUnreliable({ ...NEW_SCORE, beta: 6 }, GENESIS_PARAMETERS)).toBe(false);
    expect(isUnreliable({ ...NEW_SCORE, beta: 6.000001 }, GENESIS_PARAMETERS)).toBe(true);
    expect(isUnreliable(after(times(6, "down")), GENESIS_PARAMETERS)).toBe(false);
    expect(isUnreliable(after(times(7, "down")), GENESIS_PARAMETERS)).toBe(true);
  });

  it("stays between 0 and 1, and never moves the wrong way", () => {
    const effects = fc.constantFrom<Effect>("up", "unchanged", "declined", "down", "failed_verification", "flagged");
    fc.assert(
      fc.property(fc.array(effects, { maxLength: 400 }), (past) => {
        const score = after(past);
        const reliability = reliabilityOf(score);
        expect(reliability).toBeGreaterThan(0);
        expect(reliability).toBeLessThan(1);
        expect(reliabilityOf(after(["up"], score))).toBeGreaterThan(reliability);
        expect(reliabilityOf(after(["down"], score))).toBeLessThan(reliability);
        expect(reliabilityOf(after(["failed_verification"], score))).toBeLessThanOrEqual(reliability);
        expect(reliabilityOf(after(["unchanged"], score))).toBe(reliability);
        expect(score.declines).toBeLessThanOrEqual(score.offers);
      }),
    );
  });
});

describe("declines", () => {
  const factor = (offers: number, declines: number) =>
    declineFactor({ ...NEW_SCORE, offers, declines }, GENESIS_PARAMETERS);

  it("cost nothing up to a tenth of the offers, and weigh from there on", () => {
    expect(factor(100, 10)).toBe(1);
    expect(factor(100, 20)).toBe(0.5);
    expect(factor(100, 100)).toBe(0.1);
    expect(factor(200, 21)).toBeCloseTo(20 / 21);
  });

  it("cost nothing before there are ten offers", () => {
    expect(factor(9, 9)).toBe(1);
    expect(factor(10, 10)).toBe(0.1);
  });

  it("are forgotten like everything else", () => {
    const lazy = after(times(20, "declined"));
    expect(declineFactor(lazy, GENESIS_PARAMETERS)).toBeLessThan(0.11);
    expect(declineFactor(after(times(400, "up"), lazy), GENESIS_PARAMETERS)).toBe(1);
  });
});
