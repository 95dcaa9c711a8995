import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Draw, LotKind } from "../../../core/account/lots.ts";
import { LANE_TABLE, LANES } from "../../../core/lanes.ts";
import { composeReversal, type ReceiptBody } from "../../../core/receipt/body.ts";
import { type Funding, sumFunding } from "../../../core/receipt/funding.ts";
import { bodyOf } from "../../support/receipts.ts";

const lot = (kind: LotKind, amount: number, backing: "usdc" | "none" = "usdc"): Draw => ({
  lot: kind,
  kind,
  backing,
  amount,
});
const reversalOf = (body: ReceiptBody) =>
  composeReversal(body, 1, { of: "00", reason: "test", by: ["a", "b"] }, 0, { seq: 1, head: "00" });
const sums = (fundings: readonly Funding[]) =>
  Object.fromEntries(fundings.map(({ kind, charged, fees }) => [kind, [charged, fees]]));

describe("what paid for a window", () => {
  it("keeps an allotment apart from the package beside it, with the fees of each", () => {
    const body = bodyOf({
      usage: { prompt: 0, completion: 1_000 },
      held: [lot("allotment", 30_000), lot("package", 50_000)],
      facts: { lane: "dedicated" },
    });
    expect(sums(sumFunding([body, body], 6))).toEqual({ allotment: [60_000, 3_000], package: [100_000, 5_000] });
    expect(sumFunding([body], 6).every(({ window }) => window === 6)).toBe(true);
  });

  it("leaves out what was not paid for", () => {
    const body = bodyOf({ usage: { prompt: 0, completion: 10 }, held: [lot("bonus", 300, "none"), lot("topup", 500)] });
    expect(sums(sumFunding([body], 6))).toEqual({ topup: [500, 25] });
    expect(sumFunding([bodyOf({ facts: { outcome: "failed" } })], 6)).toEqual([]);
  });

  it("takes back what a reversal takes back, to the last unit", () => {
    const body = bodyOf({
      usage: { prompt: 0, completion: 7 },
      held: [lot("allotment", 213), lot("package", 347)],
      facts: { lane: "dedicated" },
    });
    expect(sums(sumFunding([body, reversalOf(body)], 6))).toEqual({ allotment: [0, 0], package: [0, 0] });
  });

  it("loses no fee, whatever the lane and the parts", () => {
    const drawn = fc.record({
      lane: fc.constantFrom(...LANES),
      completion: fc.integer({ min: 1, max: 999 }),
      first: fc.integer({ min: 0, max: 100 }),
      reversed: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(drawn, { maxLength: 8 }), (jobs) => {
        const bodies = jobs.map(({ lane, completion, first, reversed }) => {
          const price = completion * 80;
          const covered = Math.floor((price * first) / 100);
          const kinds = LANE_TABLE[lane].funding;
          const held = [lot(kinds[0] ?? "topup", covered), lot(kinds.at(-1) ?? "topup", price - covered)];
          const body = bodyOf({ usage: { prompt: 0, completion }, held, facts: { lane } });
          return reversed ? reversalOf(body) : body;
        });
        const fees = bodies.flatMap(({ split }) => split.filter(({ role }) => role === "network"));
        const total = sumFunding(bodies, 6).reduce((sum, funding) => sum + funding.fees, 0);
        expect(total).toBe(fees.reduce((sum, { nano_usd }) => sum + nano_usd, 0));
      }),
    );
  });
});
