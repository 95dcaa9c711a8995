import * as fc from "fast-check";
import { expect, it } from "vitest";
import { type Asked, judgePayment } from "../../../core/deposits/judge.ts";
import { PACKAGE_IDS, PACKAGES } from "../../../core/packages.ts";
import { formatUsdc, type MicroUsdc, microUsdc, microUsdcOf, nanoUsd, nanoUsdOf } from "../../../core/units.ts";

const END = 1_000_000;
const topup = (amount: number): Asked => ({
  kind: "topup",
  amount: microUsdc(amount),
  expiresAt: END,
  package: null,
});
const { starter } = PACKAGES;
const wanted: Asked = {
  kind: "package",
  amount: microUsdc(50_000_000),
  expiresAt: END,
  package: { id: "starter", included: starter.included, slots: starter.slots, validMs: starter.validMs },
};
const judged = (asked: Asked, amount: number, at = END, before = false) =>
  judgePayment(asked, microUsdc(amount), at, before).map(({ kind, reason, amount }) => [kind, reason, Number(amount)]);

it("takes a payment in the last millisecond, and one after it for late", () => {
  expect(judged(topup(5), 5, END)).toEqual([["topup", "exact", 5]]);
  expect(judged(topup(5), 5, END + 1)).toEqual([["topup", "late", 5]]);
  expect(judged(wanted, 50_000_000, END + 1)).toEqual([["topup", "late", 50_000_000]]);
});

it("makes of a payment lots that are worth it, at most one package, and that only for its price", () => {
  const amounts = fc.oneof(fc.integer({ min: 1, max: 200_000_000 }), fc.integer({ min: 49_999_990, max: 50_000_010 }));
  fc.assert(
    fc.property(amounts, fc.boolean(), fc.boolean(), fc.boolean(), (arrived, isPackage, isLate, before) => {
      const asked = isPackage ? wanted : topup(20_000_000);
      const parts = judgePayment(asked, arrived as MicroUsdc, END + (isLate ? 1 : 0), before);
      expect(parts.reduce((sum, { amount }) => sum + amount, 0)).toBe(arrived);
      expect(parts.reduce((sum, { lot }) => sum + lot, 0)).toBe(arrived * 1_000);
      const packages = parts.filter(({ kind }) => kind === "package");
      const isDue = isPackage && !isLate && !before && arrived >= 50_000_000;
      expect(packages.map(({ amount }) => Number(amount))).toEqual(isDue ? [50_000_000] : []);
    }),
  );
});

it("offers packages that include what they cost", () => {
  expect(PACKAGE_IDS.map((id) => [id, PACKAGES[id].price, PACKAGES[id].slots])).toEqual([
    ["starter", 50e9, 1],
    ["team", 400e9, 10],
    ["scale", 3_000e9, 80],
  ]);
  for (const { price, included } of Object.values(PACKAGES)) expect(included).toBe(price);
});

it("turns USDC into nanoUSD and back, and nothing that is no whole unit", () => {
  expect(nanoUsdOf(microUsdc(1))).toBe(1_000);
  expect(microUsdcOf(nanoUsd(1_000))).toBe(1);
  expect(microUsdcOf(nanoUsd(1_001))).toBeNull();
  expect(() => nanoUsdOf(microUsdc(9e12 + 1))).toThrow(RangeError);
  expect(formatUsdc(microUsdc(2_500_000))).toBe("2.500000");
});
