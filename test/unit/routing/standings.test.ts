import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AccountId, DaemonId } from "../../../core/ids.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { seeded } from "../../../core/random.ts";
import { chooseByWeight } from "../../../core/routing/choose-by-weight.ts";
import { Median } from "../../../core/routing/median.ts";
import { HOUR_MS } from "../../../core/routing/quarantine.ts";
import { type DaemonRecord, Standings } from "../../../core/routing/standings.ts";

const START = 1_000 * HOUR_MS;
const DECLARED = { tokensPerSecond: 50 };
const a = "a" as DaemonId;
const b = "b" as DaemonId;
const owner = "owner" as AccountId;

function standingsOf(records: readonly DaemonRecord[] = [], random = () => 0.5): Standings {
  const standings = new Standings(GENESIS_PARAMETERS, records, random);
  standings.meet(a, owner);
  standings.meet(b, owner);
  return standings;
}

function probeAt(standings: Standings): number {
  const [probe] = standings.probes();
  return probe?.probeAt ?? Number.NaN;
}

/** Passes, or fails, the next probe when it is due. Says whether the quarantine is over. */
function probe(standings: Standings, result: "passed" | "failed" | "failed_verification" | "nothing"): boolean {
  expect(standings.probes().map(({ daemon }) => daemon)).toEqual([a]);
  standings.probed(a, result, probeAt(standings));
  return standings.record(a)?.quarantine === null;
}

describe("a quarantine", () => {
  const failed = (): Standings => {
    const standings = standingsOf();
    standings.ended(a, "failed_verification", null, START);
    return standings;
  };
  const isOut = (standings: Standings) => !standings.standing(a, DECLARED).quarantined;

  it("begins with a failed verification, however good a daemon was", () => {
    const standings = standingsOf();
    for (let job = 0; job < 500; job++) standings.ended(a, "up", null, START);
    expect(isOut(standings)).toBe(true);
    standings.ended(a, "failed_verification", null, START);
    expect(standings.record(a)?.quarantine).toMatchObject({ why: "failed_verification", since: START, passed: 0 });
    expect(isOut(standings)).toBe(false);
    expect(standings.standing(b, DECLARED).quarantined).toBe(false);
  });

  it("begins below 0.2", () => {
    const standings = standingsOf();
    for (let job = 0; job < 6; job++) standings.ended(a, "down", null, START);
    expect(isOut(standings)).toBe(true);
    standings.ended(a, "down", null, START);
    expect(isOut(standings)).toBe(false);
    expect(standings.record(a)?.quarantine?.why).toBe("unreliable");
  });

  it("ends after three probes passed in a row, each in another hour, and begins at α = 1, β = 4", () => {
    const standings = failed();
    const hours = new Set<number>();
    for (const last of [false, false, true]) {
      hours.add(Math.floor(probeAt(standings) / HOUR_MS));
      expect(probe(standings, "passed")).toBe(last);
      expect(isOut(standings)).toBe(last);
    }
    expect(hours).toHaveLength(3);
    expect(hours).not.toContain(START / HOUR_MS);
    expect(standings.record(a)).toMatchObject({ score: { alpha: 1, beta: 4 }, quarantine: null });
    expect(standings.probes()).toEqual([]);
  });

  it.each(["failed", "failed_verification"] as const)("begins to count anew when a probe has %s", (result) => {
    const standings = failed();
    for (const step of ["passed", "passed", result, "passed", "passed"] as const) {
      expect(probe(standings, step)).toBe(false);
    }
    expect(probe(standings, "passed")).toBe(true);
  });

  it("goes on as it was when a probe showed nothing", () => {
    const standings = failed();
    for (const step of ["passed", "nothing", "passed", "nothing"] as const) expect(probe(standings, step)).toBe(false);
    expect(probe(standings, "passed")).toBe(true);
  });

  it("hears of no job but one that fails its checks, which makes it begin to count anew", () => {
    const standings = failed();
    probe(standings, "passed");
    const before = standings.record(a);
    for (const effect of ["up", "down", "declined", "flagged"] as const) standings.ended(a, effect, null, START);
    expect(standings.record(a)).toEqual(before);
    standings.ended(a, "failed_verification", null, START);
    expect(standings.record(a)?.quarantine).toMatchObject({ passed: 0, since: START });
  });

  it("gives a daemon that comes back another time for a probe that it missed", () => {
    const standings = failed();
    const before = probeAt(standings);
    standings.returned(a, before - 1);
    expect(probeAt(standings)).toBe(before);
    standings.returned(a, before + HOUR_MS);
    expect(Math.floor(probeAt(standings) / HOUR_MS)).toBe(Math.floor(before / HOUR_MS) + 2);
    standings.returned(b, before);
    standings.returned("stranger" as DaemonId, before);
    expect(standings.probes()).toHaveLength(1);
  });

  it("probes once an hour at most, whatever the hours' draws", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: HOUR_MS - 1 }), (seed, offset) => {
        const standings = standingsOf([], seeded(seed));
        standings.ended(a, "failed_verification", null, START + offset);
        const hours = [START / HOUR_MS];
        for (let count = 0; count < 6; count++) {
          hours.push(Math.floor(probeAt(standings) / HOUR_MS));
          probe(standings, "failed");
        }
        expect(hours).toEqual(hours.map((_, index) => START / HOUR_MS + index));
      }),
    );
  });
});

describe("what is kept", () => {
  it("is what has changed, and makes the same standings again", () => {
    const standings = standingsOf();
    expect([standings.hasChanged, standings.takeChanged()]).toEqual([false, []]);
    standings.ended(a, "up", { decode: 20, prefill: null }, START);
    expect([standings.hasChanged, standings.isUrgent]).toEqual([true, false]);
    standings.ended(a, "failed_verification", null, START);
    expect(standings.isUrgent).toBe(true);
    const changed = standings.takeChanged();
    expect(changed.map(({ daemon }) => daemon)).toEqual([a]);
    expect([standings.hasChanged, standings.isUrgent]).toEqual([false, false]);
    const again = standingsOf(JSON.parse(JSON.stringify(changed)) as DaemonRecord[]);
    expect(again.record(a)).toEqual(standings.record(a));
    expect(again.standing(a, DECLARED)).toEqual(standings.standing(a, DECLARED));
    expect(again.probes()).toEqual(standings.probes());
    expect(again.verifiedOf(owner)).toBe(1);
  });
});

describe("measured speeds", () => {
  it("count from the fifth verified job on, in weights and in the floor", () => {
    const standings = standingsOf();
    const floor = {
      watts: 10,
      nano_usd_per_kwh: 1,
      decode_millitokens_per_second: 1,
      prefill_millitokens_per_second: 2,
    };
    const sample = { decode: 20, prefill: 400 };
    for (let job = 0; job < 4; job++) standings.ended(a, "up", sample, START);
    // One that did not verify says nothing.
    standings.ended(a, "flagged", { decode: 1_000, prefill: 1_000 }, START);
    expect(standings.standing(a, DECLARED).tokensPerSecond).toBe(50);
    expect(standings.floor(a, { floor })).toEqual(floor);
    standings.ended(a, "up", sample, START);
    expect(standings.standing(a, DECLARED).tokensPerSecond).toBeCloseTo(20);
    expect(standings.floor(a, { floor })).toMatchObject({
      decode_millitokens_per_second: 20_000,
      prefill_millitokens_per_second: 400_000,
    });
  });
});

describe("a newcomer", () => {
  it("graduates with fifty verified jobs of all its owner's daemons", () => {
    const standings = standingsOf();
    for (let job = 0; job < 49; job++) standings.ended(job % 2 ? a : b, "up", null, START);
    expect(standings.verifiedOf(owner)).toBe(49);
    expect(standings.standing(a, DECLARED).newcomer).toBe(true);
    standings.ended(b, "up", null, START);
    expect(standings.standing(a, DECLARED).newcomer).toBe(false);
  });

  it("gets its first fifty jobs from a pool of old hands within a thousand decisions", () => {
    const random = seeded(11);
    const standings = new Standings(GENESIS_PARAMETERS, [], random);
    const names = Array.from({ length: 20 }, (_, index) => `known ${index}` as DaemonId);
    for (const name of names) {
      standings.meet(name, name as unknown as AccountId);
      for (let job = 0; job < 300; job++) standings.ended(name, "up", null, START);
    }
    standings.meet(a, owner);
    const serves = () => {
      const free = [a, ...names].map((name) => ({
        name,
        loaded: true,
        slots: 4,
        sharedSlots: 4,
        elsewhere: 0,
        running: { size: 0 },
        standing: standings.standing(name, DECLARED),
      }));
      const chosen = chooseByWeight(free, () => true, 50, random, { exploration: 0.05 });
      standings.ended(chosen?.name ?? a, "up", null, START);
      return chosen?.name === a;
    };
    let decisions = 0;
    let own = 0;
    for (; standings.standing(a, DECLARED).newcomer; decisions++) if (serves()) own += 1;
    expect(own / decisions).toBeGreaterThan(0.05);
    expect(decisions).toBeLessThan(1_000);
  });
});

describe("the median", () => {
  it("is the one of what is there", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 })), fc.array(fc.nat()), (values, removals) => {
        const median = new Median();
        const left = [...values];
        for (const value of values) median.add(value);
        for (const removal of removals) {
          if (left.length === 0) break;
          median.remove(left.splice(removal % left.length, 1)[0] ?? 0);
        }
        const sorted = left.toSorted((x, y) => x - y);
        expect(median.value).toBe(sorted[(sorted.length - 1) >> 1] ?? 0);
      }),
    );
    expect(() => new Median().remove(1)).toThrow(/has not/);
  });
});
