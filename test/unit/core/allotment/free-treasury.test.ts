import { describe, expect, it } from "vitest";
import { freeTreasury, type TreasuryFigures } from "../../../../core/allotment/free-treasury.ts";

/** $100 on the chain, and $40 owed: each kind by another amount. */
const FIGURES: TreasuryFigures = {
  onChain: 100_000_000n,
  accounted: 100_000_000n,
  lots: 16_000_000_000n,
  unjournaled: 8_000_000_000n,
  suspense: 4_000_000_000n,
  payables: 2_000_000_000n,
  promised: 10_000_000_000n,
};
const free = (changes: Partial<TreasuryFigures> = {}) => freeTreasury({ ...FIGURES, ...changes });

describe("the free treasury", () => {
  it("is what is left when everything that is owed is taken off", () => {
    expect(free()).toBe(60_000_000);
  });

  it.each(["lots", "unjournaled", "suspense", "payables", "promised"] as const)(
    "has less by every dollar of %s",
    (name) => {
      expect(free({ [name]: FIGURES[name] + 1_000_000_000n })).toBe(59_000_000);
    },
  );

  it("counts no money that has not been looked at, and none that has left", () => {
    expect(free({ onChain: 170_000_000n })).toBe(60_000_000);
    expect(free({ onChain: 90_000_000n })).toBe(50_000_000);
  });

  it("takes from a debt to the treasury, but not from what is on its way", () => {
    // More was taken back from providers than they were owed: they owe the treasury.
    expect(free({ payables: -1_000_000_000n })).toBe(63_000_000);
    // A row of less than was given out does not free anything.
    expect(free({ promised: -5_000_000_000n })).toBe(70_000_000);
  });

  it("rounds down to the token's unit, and is never below 0", () => {
    expect(free({ lots: FIGURES.lots + 1n })).toBe(59_999_999);
    expect(free({ lots: FIGURES.lots + 1_000n })).toBe(59_999_999);
    expect(free({ lots: 200_000_000_000n })).toBe(0);
    expect(free({ onChain: 0n })).toBe(0);
  });
});
