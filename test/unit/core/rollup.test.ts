import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LANES } from "../../../core/lanes.ts";
import { imbalances, isConserved, rollUp, type Summed } from "../../../core/receipt/rollup.ts";
import { nanoUsd } from "../../../core/units.ts";
import { bodyOf } from "../../support/receipts.ts";

describe("the sums of a window", () => {
  it("count a receipt once in each sum that it adds to", () => {
    const held = [
      { lot: "a", kind: "bonus", backing: "none", amount: 300 },
      { lot: "b", kind: "earned", backing: "none", amount: 500 },
    ] as const;
    const body = bodyOf({ usage: { prompt: 0, completion: 10 }, held });
    const sums = rollUp([body, body], 6);
    expect(sums.map(({ side, payee, millicredits, receipts }) => [side, payee, millicredits, receipts])).toEqual([
      ["charge", "consumers", 1_600, 2],
      ["share", body.provider, 1_520, 2],
      ["share", "network", 80, 2],
    ]);
    expect(sums.every(({ window, backing, nano_usd }) => window === 6 && backing === "none" && nano_usd === 0)).toBe(
      true,
    );
  });

  it("keep lanes and backings apart, and need nothing for a job that cost nothing", () => {
    const free = bodyOf({ facts: { outcome: "failed" } });
    const sums = rollUp([free, bodyOf(), bodyOf({ facts: { lane: "private" } })], 6);
    expect(sums).toHaveLength(6);
    expect(imbalances(sums)).toEqual([]);
  });

  it("say where they do not balance", () => {
    const sums = rollUp([bodyOf()], 6);
    expect(imbalances(sums.slice(0, 1))).toEqual([
      { lane: "public", backing: "usdc", nano_usd: 82_000, millicredits: 0 },
    ]);
  });

  it("refuse a sum beyond the bounds of an amount", () => {
    const body = bodyOf();
    const part = {
      ...body.charge.parts[0],
      kind: "topup",
      backing: "usdc",
      nano_usd: nanoUsd(9e15),
    } as (typeof body.charge.parts)[0];
    expect(() => rollUp([{ ...body, charge: { parts: [part, part] } }], 6)).toThrow(RangeError);
  });
});

describe("a receipt is conserved", () => {
  const amount = fc.oneof(fc.integer({ min: -2, max: 2 }), fc.constantFrom(9e15, -9e15, 5e15));
  const amounts = { backing: fc.constantFrom("usdc", "none"), nano_usd: amount, millicredits: amount };
  const summed = fc.record({
    lane: fc.constantFrom(...LANES),
    charge: fc.record({ parts: fc.array(fc.record(amounts), { maxLength: 3 }) }),
    split: fc.array(fc.record({ to: fc.constantFrom("a", "b"), ...amounts }), { maxLength: 4 }),
  }) as unknown as fc.Arbitrary<Summed>;

  it("exactly where its sums balance", () => {
    const seen = { true: 0, false: 0 };
    fc.assert(
      fc.property(summed, (receipt) => {
        const [says, sums] = [attempt(() => isConserved(receipt)), attempt(() => rollUp([receipt], 6))];
        // Sums beyond the bounds of an amount are refused either way, and may be met in another order.
        if (says === null || sums === null) return;
        expect(says).toBe(imbalances(sums).length === 0);
        seen[`${says}`] += 1;
      }),
      { numRuns: 5_000 },
    );
    expect([seen.true > 100, seen.false > 100]).toEqual([true, true]);
  });

  it("in each backing and unit by itself", () => {
    const { lane, charge, split } = bodyOf();
    expect(isConserved({ lane, charge, split })).toBe(true);
    expect(isConserved({ lane, charge, split: split.slice(1) })).toBe(false);
    const unbacked = split.map((line) => ({ ...line, backing: "none" as const }));
    expect(isConserved({ lane, charge, split: unbacked })).toBe(false);
    const swapped = split.map((line) => ({ ...line, nano_usd: line.millicredits, millicredits: line.nano_usd }));
    expect(isConserved({ lane, charge, split: swapped as unknown as typeof split })).toBe(false);
  });

  it("only within the bounds of an amount", () => {
    const { lane, charge, split } = bodyOf();
    const [part] = charge.parts;
    if (part === undefined) throw new Error("a charge has a part");
    const huge = { ...part, nano_usd: nanoUsd(9e15) };
    expect(() => isConserved({ lane, charge: { parts: [huge, huge] }, split })).toThrow(RangeError);
  });
});

/** What a call returns, or null where it refuses to compute. */
function attempt<T>(call: () => T): T | null {
  try {
    return call();
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return null;
  }
}
