import { describe, expect, it } from "vitest";
import { imbalances, rollUp } from "../../../core/receipt/rollup.ts";
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
