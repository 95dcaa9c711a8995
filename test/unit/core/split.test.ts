import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LANE_TABLE, LANES, type Lane, WHOLE } from "../../../core/lanes.ts";
import { PARAMETERS } from "../../../core/parameters.ts";
import { type ChargePart, divideByShares, type Payees, splitCharge } from "../../../core/split.ts";
import { basisPoints, MAX_AMOUNT, millicredits, nanoUsd, sum } from "../../../core/units.ts";

const payees: Payees = { provider: "provider", network: "network", creator: "creator", admin: "admin" };
const backed = (amount: number): ChargePart => ({
  kind: "topup",
  backing: "usdc",
  nano_usd: nanoUsd(amount),
  millicredits: millicredits(0),
});
const unbacked = (covers: number, amount: number): ChargePart => ({
  kind: "bonus",
  backing: "none",
  nano_usd: nanoUsd(covers),
  millicredits: millicredits(amount),
});

describe("the lane table", () => {
  it.each(LANES)("%s shares out the whole, and names parameters that exist", (lane) => {
    const row = LANE_TABLE[lane];
    expect(sum(row.split.map(({ share }) => share))).toBe(WHOLE);
    expect(PARAMETERS).toHaveProperty(row.weight);
    expect(PARAMETERS).toHaveProperty(row.queueLimit);
    expect(new Set(row.funding).size).toBe(row.funding.length);
  });

  it("splits as the rules say (economics.md §3)", () => {
    const shares = (lane: Lane) => LANE_TABLE[lane].split.map(({ role, share }) => [role, share / 100]);
    const standard = [
      ["provider", 95],
      ["network", 5],
    ];
    for (const lane of LANES.filter((name) => name !== "league")) expect(shares(lane)).toEqual(standard);
    expect(shares("league")).toEqual([
      ["provider", 85],
      ["creator", 5],
      ["admin", 5],
      ["network", 5],
    ]);
  });

  it("draws bonus before received before earned before top-up", () => {
    for (const lane of ["private", "public", "league"] as const) {
      expect(LANE_TABLE[lane].funding).toEqual(["bonus", "received", "earned", "topup"]);
    }
    expect(LANE_TABLE.included.funding).toEqual(["allotment"]);
    expect(LANE_TABLE.dedicated.funding).toEqual(["allotment", "package"]);
  });
});

describe("dividing by shares", () => {
  const shares = (...percents: number[]) => percents.map((percent) => basisPoints(percent * 100));

  it.each([
    [80_000, [95, 5], [76_000, 4_000]],
    [1, [95, 5], [1, 0]],
    [10, [95, 5], [10, 0]],
    [11, [95, 5], [10, 1]],
    // Remainders 0.85, 0.05, 0.05, 0.05.
    [1, [85, 5, 5, 5], [1, 0, 0, 0]],
    // Four equal remainders, two units: the earlier shares get them.
    [2, [25, 25, 25, 25], [1, 1, 0, 0]],
    [10, [85, 5, 5, 5], [9, 1, 0, 0]],
    [0, [85, 5, 5, 5], [0, 0, 0, 0]],
  ])("%i by %j gives %j", (amount, percents, parts) => {
    expect(divideByShares(amount, shares(...percents))).toEqual(parts);
  });

  it("gives parts that sum to the whole and are each within a unit of their share", () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 9_999 }), { maxLength: 6 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_AMOUNT }), cuts, (amount, points) => {
        const edges = [0, ...points.sort((a, b) => a - b), 10_000];
        const each = edges.slice(1).map((edge, index) => basisPoints(edge - (edges[index] ?? 0)));
        const parts = divideByShares(amount, each);
        expect(sum(parts)).toBe(amount);
        for (const [index, share] of each.entries()) {
          const exact = BigInt(amount) * BigInt(share);
          const part = BigInt(parts[index] ?? -1) * 10_000n;
          expect(part - exact < 10_000n && exact - part < 10_000n).toBe(true);
        }
      }),
    );
  });

  it("refuses shares of another whole", () => {
    expect(() => divideByShares(1_000, shares(90, 20))).toThrow(RangeError);
    expect(() => divideByShares(1_000, shares(50, 20))).toThrow(RangeError);
  });
});

describe("splitting a charge", () => {
  it("sums, in each backing's own unit, to the parts, for any parts and lane", () => {
    const amount = fc.integer({ min: 0, max: 1e12 });
    const part = fc.oneof(
      amount.map(backed),
      fc.tuple(amount, amount).map(([covers, cost]) => unbacked(covers, cost)),
    );
    fc.assert(
      fc.property(fc.constantFrom(...LANES), fc.array(part, { maxLength: 6 }), (lane, parts) => {
        const lines = splitCharge(lane, parts, payees);
        for (const backing of ["usdc", "none"] as const) {
          const of = <T extends { backing: string }>(items: readonly T[]) =>
            items.filter((item) => item.backing === backing);
          const owed = backing === "usdc" ? sum(of(parts).map((item) => item.nano_usd)) : 0;
          expect(sum(of(lines).map((line) => line.nano_usd))).toBe(owed);
          expect(sum(of(lines).map((line) => line.millicredits))).toBe(sum(of(parts).map((item) => item.millicredits)));
        }
        expect(lines.every((line) => line.nano_usd + line.millicredits > 0)).toBe(true);
        expect(new Set(lines.map((line) => `${line.role} ${line.backing}`)).size).toBe(lines.length);
      }),
    );
  });

  it("splits each part by itself, then adds up", () => {
    // 11 = 10 + 1 and 11 = 10 + 1, while 22 would be 21 + 1.
    expect(splitCharge("public", [backed(11), backed(11)], payees).map((line) => line.nano_usd)).toEqual([20, 2]);
  });

  it("needs a payee for every role that gets something, and for no other", () => {
    expect(() => splitCharge("league", [backed(100)], { provider: "p", network: "n" })).toThrow(/creator/);
    expect(splitCharge("league", [backed(1)], { provider: "p" })).toHaveLength(1);
    expect(splitCharge("public", [], {})).toEqual([]);
  });
});
