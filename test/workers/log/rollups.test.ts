import { env } from "cloudflare:workers";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Draw, LotKind } from "../../../core/account/lots.ts";
import { LANE_TABLE, LANES, type Lane } from "../../../core/lanes.ts";
import { priceOf } from "../../../core/pricing.ts";
import { imbalances } from "../../../core/receipt/rollup.ts";
import { nanoUsd, type Peg, toMillicreditsCeil } from "../../../core/units.ts";
import { rollupsOf } from "../../../db/rollups.ts";
import { type ReceiptOptions, receiptOf, TEST_TERMS, TEST_TIME } from "../../support/receipts.ts";
import { auditLog, deliver, pack, rows } from "./support.ts";

/** A receipt whose charge comes from backed and unbacked lots of its lane. */
const job = fc.record({
  lane: fc.constantFrom<Lane>(...LANES),
  completion: fc.integer({ min: 0, max: 500 }),
  /** Percent of the price that the first lot covers. */
  first: fc.integer({ min: 0, max: 100 }),
  backed: fc.boolean(),
  peg: fc.constantFrom<Peg>(
    { millicredits: 1, nanoUsd: 1 },
    { millicredits: 3, nanoUsd: 7 },
    { millicredits: 9, nanoUsd: 2 },
  ),
  provider: fc.constantFrom("a", "b", "c"),
});

function optionsOf(
  { lane, completion, first, backed, peg, provider }: typeof job extends fc.Arbitrary<infer T> ? T : never,
  index: number,
): ReceiptOptions {
  const usage = { prompt: 3, completion };
  const price = priceOf(TEST_TERMS, usage);
  const covered = nanoUsd(Math.floor((price * first) / 100));
  const kinds = LANE_TABLE[lane].funding;
  const lot = (covers: number, isBacked: boolean, kind: LotKind | undefined): Draw => ({
    lot: `lot ${kind}`,
    kind: kind ?? "topup",
    backing: isBacked ? "usdc" : "none",
    amount: isBacked ? covers : toMillicreditsCeil(nanoUsd(covers), peg),
  });
  const held = [lot(covered, backed, kinds[0]), lot(price - covered, !backed, kinds.at(-1))];
  return { index, usage, peg, provider, held, facts: { lane } };
}

it("are what the receipts' bodies add up to, and balance in every window, lane and backing", {
  timeout: 60_000,
}, async () => {
  let index = 0;
  // Seven hours apart, so that every draw falls into more than one window.
  const batches = fc.array(fc.array(job, { minLength: 1, maxLength: 6 }), { minLength: 2, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(batches, async (drawn) => {
      for (const [number, batch] of drawn.entries()) {
        const receipts = batch.map((options) => receiptOf(optionsOf(options, index++)));
        const { summary } = await deliver([pack(receipts)], { now: TEST_TIME + number * 7 * 3_600_000 });
        expect(summary).toMatchObject({ appended: batch.length, refused: 0 });
      }
      await auditLog();
    }),
    { numRuns: 12 },
  );
  expect(new Set((await rows()).map(({ window }) => window)).size).toBeGreaterThan(1);
});

it("carry a charge and its shares, each in the unit of its backing", async () => {
  const held: Draw[] = [
    { lot: "bonus", kind: "bonus", backing: "none", amount: 300 },
    { lot: "topup", kind: "topup", backing: "usdc", amount: 900 },
  ];
  // 10 completion tokens cost 800 nanoUSD; at 3 millicredits for a nanoUSD the bonus covers 100 of them.
  const receipt = receiptOf({ usage: { prompt: 0, completion: 10 }, held, peg: { millicredits: 3, nanoUsd: 1 } });
  await deliver([pack([receipt])]);
  const [row] = await rows();
  const sums = await rollupsOf(env.DB, row?.window ?? 0);
  const seen = sums.map(({ side, backing, nano_usd, millicredits }) => [side, backing, nano_usd, millicredits]);
  expect(seen.slice(0, 2)).toEqual([
    ["charge", "none", 0, 300],
    ["charge", "usdc", 700, 0],
  ]);
  expect(seen.slice(2)).toEqual(
    expect.arrayContaining([
      ["share", "none", 0, 285],
      ["share", "none", 0, 15],
      ["share", "usdc", 665, 0],
      ["share", "usdc", 35, 0],
    ]),
  );
  expect(seen).toHaveLength(6);
  expect(imbalances(sums)).toEqual([]);
  expect(imbalances(sums.slice(1))).toEqual([{ lane: "public", backing: "none", nano_usd: 0, millicredits: -300 }]);
});
