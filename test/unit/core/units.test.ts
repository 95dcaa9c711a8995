import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  assertAmount,
  formatCredits,
  formatUsd,
  GENESIS_PEG,
  MAX_AMOUNT,
  millicredits,
  mulDivCeil,
  mulDivFloor,
  nanoUsd,
  parseCredits,
  parseUsd,
  subtract,
  sum,
  toMillicreditsCeil,
  toMillicreditsFloor,
  toNanoUsdFloor,
} from "../../../core/units.ts";

const amount = fc.integer({ min: 0, max: MAX_AMOUNT });

describe("amounts", () => {
  it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, MAX_AMOUNT + 1, -MAX_AMOUNT - 1])("refuse %s", (value) => {
    expect(() => assertAmount(value, "it")).toThrow(RangeError);
    expect(() => nanoUsd(value)).toThrow(/nanoUSD/);
    expect(() => millicredits(value)).toThrow(/millicredits/);
  });

  it("reach to 9.0e15 on both sides", () => {
    expect([nanoUsd(MAX_AMOUNT), nanoUsd(-MAX_AMOUNT)]).toEqual([9e15, -9e15]);
  });

  it("are summed with every step checked", () => {
    expect(sum([1, 2, 3])).toBe(6);
    expect(sum([])).toBe(0);
    expect(() => sum([MAX_AMOUNT, 1, -1])).toThrow(RangeError);
  });

  it("are not taken below zero", () => {
    expect(subtract(3, 3)).toBe(0);
    expect(() => subtract(2, 3)).toThrow(/negative/);
  });
});

describe("products", () => {
  it("are exact beyond 2^53", () => {
    fc.assert(
      fc.property(
        amount,
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.integer({ min: 1_000_000, max: MAX_AMOUNT }),
        (a, b, c) => {
          const exact = BigInt(a) * BigInt(b);
          expect(BigInt(mulDivFloor(a, b, c))).toBe(exact / BigInt(c));
          const up = exact % BigInt(c) === 0n ? 0n : 1n;
          expect(BigInt(mulDivCeil(a, b, c))).toBe(exact / BigInt(c) + up);
        },
      ),
    );
  });

  it("that leave the bounds throw", () => {
    expect(() => mulDivFloor(MAX_AMOUNT, 2, 1)).toThrow(RangeError);
  });
});

describe("the peg", () => {
  const peg = fc.record({
    millicredits: fc.integer({ min: 1, max: 10_000 }),
    nanoUsd: fc.integer({ min: 1, max: 10_000 }),
  });
  const some = fc.integer({ min: 0, max: 1e11 });

  it("is one to one at genesis", () => {
    expect(toMillicreditsCeil(nanoUsd(80_000), GENESIS_PEG)).toBe(80_000);
  });

  it("rounds a charge up by less than a millicredit, and what is shown down", () => {
    fc.assert(
      fc.property(some, peg, (value, rate) => {
        const up = toMillicreditsCeil(nanoUsd(value), rate);
        const down = toMillicreditsFloor(nanoUsd(value), rate);
        const exact = BigInt(value) * BigInt(rate.millicredits);
        expect(BigInt(up) * BigInt(rate.nanoUsd)).toBeGreaterThanOrEqual(exact);
        expect((BigInt(up) - 1n) * BigInt(rate.nanoUsd)).toBeLessThan(exact === 0n ? 1n : exact);
        expect(BigInt(down) * BigInt(rate.nanoUsd)).toBeLessThanOrEqual(exact);
        expect(up - down).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("lets what was charged for x cover x again: floor(ceil(x · peg) / peg) ≥ x", () => {
    fc.assert(
      fc.property(some, peg, (value, rate) => {
        expect(toNanoUsdFloor(toMillicreditsCeil(nanoUsd(value), rate), rate)).toBeGreaterThanOrEqual(value);
      }),
    );
  });
});

describe("decimal strings", () => {
  it.each([
    [0, "0.000"],
    [1, "0.001"],
    [1_200_000, "1200.000"],
    [-5, "-0.005"],
    [MAX_AMOUNT, "9000000000000.000"],
  ])("write %i millicredits as %s credits", (value, text) => {
    expect(formatCredits(millicredits(value))).toBe(text);
    expect(parseCredits(text)).toBe(value);
  });

  it("write nanoUSD with nine places", () => {
    expect(formatUsd(nanoUsd(80_000))).toBe("0.000080000");
    expect(formatUsd(nanoUsd(-1_400_000_001))).toBe("-1.400000001");
  });

  it("are read back as the same amount", () => {
    fc.assert(
      fc.property(fc.integer({ min: -MAX_AMOUNT, max: MAX_AMOUNT }), (value) => {
        expect(parseUsd(formatUsd(nanoUsd(value)))).toBe(value);
        expect(parseCredits(formatCredits(millicredits(value)))).toBe(value);
      }),
    );
  });

  it.each([
    ["5", 5_000],
    ["5.1", 5_100],
    ["005.100", 5_100],
    ["-0", 0],
    ["-0.000", 0],
  ])("may be shorter: %s", (text, value) => {
    expect(parseCredits(text)).toBe(value);
  });

  it.each([
    "",
    ".",
    "1.",
    ".5",
    "+1",
    "1e3",
    "0x10",
    " 1",
    "1 ",
    "1,5",
    "--1",
    "1.0001",
    "9000000000000.001",
    "99999999999999999999",
    "NaN",
    "١",
  ])("refuse %j", (text) => {
    expect(parseCredits(text)).toBeNull();
  });
});
