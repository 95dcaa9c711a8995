import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Backing,
  coverage,
  draw,
  fundingOrder,
  LOT_KINDS,
  type Lot,
  type Source,
  shown,
} from "../../../core/account/lots.ts";
import { nanoUsd, type Peg, sum } from "../../../core/units.ts";

const peg = fc.record({ millicredits: fc.integer({ min: 1, max: 999 }), nanoUsd: fc.integer({ min: 1, max: 999 }) });
const source = fc.record({
  lot: fc.uuid(),
  kind: fc.constantFrom(...LOT_KINDS),
  backing: fc.constantFrom<Backing>("usdc", "none"),
  amount: fc.nat(100_000),
});
const sources = fc.uniqueArray(source, { selector: ({ lot }) => lot, maxLength: 6 });

describe("drawing a price from sources", () => {
  it("covers it whole where they suffice, in order, and takes from none more than it has", () => {
    fc.assert(
      fc.property(sources, peg, fc.nat(300_000), (from, rate, price) => {
        const { draws, covered } = draw(from, nanoUsd(price), rate);
        const most = sum(from.map(({ backing, amount }) => coverage(backing, amount, rate)));
        expect(covered).toBe(Math.min(price, most));
        expect(sum(draws.map(({ covers }) => covers))).toBe(covered);
        const order = from.map(({ lot }) => lot);
        expect(draws.map(({ lot }) => order.indexOf(lot))).toEqual(
          draws.map(({ lot }) => order.indexOf(lot)).sort((a, b) => a - b),
        );
        for (const { lot, amount, covers } of draws) {
          expect(amount).toBeLessThanOrEqual(from.find((each) => each.lot === lot)?.amount ?? -1);
          expect(covers).toBeGreaterThan(0);
        }
      }),
    );
  });

  it("charges an unbacked source ceil(x · peg) for the x ≤ floor(m / peg) that it covers", () => {
    fc.assert(
      fc.property(fc.nat(1e9), fc.nat(1e9), peg, (amount, price, rate) => {
        const from: Source[] = [{ lot: "a", kind: "bonus", backing: "none", amount }];
        const [drawn] = draw(from, nanoUsd(price), rate).draws;
        const most = (BigInt(amount) * BigInt(rate.nanoUsd)) / BigInt(rate.millicredits);
        const covers = most < BigInt(price) ? most : BigInt(price);
        if (covers === 0n) {
          expect(drawn).toBeUndefined();
          return;
        }
        const cost = (covers * BigInt(rate.millicredits) + BigInt(rate.nanoUsd) - 1n) / BigInt(rate.nanoUsd);
        expect(drawn).toMatchObject({ covers: Number(covers), amount: Number(cost) });
        expect(cost <= BigInt(amount)).toBe(true);
      }),
    );
  });

  it("for a hold covers every smaller price again, at any peg", () => {
    fc.assert(
      fc.property(sources, peg, fc.nat(300_000), fc.nat(300_000), (from, rate, reserved, charged) => {
        const hold = draw(from, nanoUsd(reserved), rate);
        const price = Math.min(charged, hold.covered);
        const post = draw(hold.draws, nanoUsd(price), rate);
        expect(post.covered).toBe(price);
        for (const { lot, amount } of post.draws) {
          expect(amount).toBeLessThanOrEqual(hold.draws.find((each) => each.lot === lot)?.amount ?? -1);
        }
      }),
    );
  });

  it("mixes backings and skips what is too small to cover anything", () => {
    const rate: Peg = { millicredits: 3, nanoUsd: 1 };
    const from: Source[] = [
      { lot: "dust", kind: "bonus", backing: "none", amount: 2 },
      { lot: "bonus", kind: "bonus", backing: "none", amount: 31 },
      { lot: "topup", kind: "topup", backing: "usdc", amount: 100 },
    ];
    expect(draw(from, nanoUsd(50), rate)).toEqual({
      covered: 50,
      draws: [
        { lot: "bonus", kind: "bonus", backing: "none", amount: 30, covers: 10 },
        { lot: "topup", kind: "topup", backing: "usdc", amount: 40, covers: 40 },
      ],
    });
    expect(draw(from, nanoUsd(0), rate)).toEqual({ covered: 0, draws: [] });
  });
});

describe("the order of lots", () => {
  const lot = (id: string, kind: Lot["kind"], expiresAt: number | null = null, available = 1): Lot => ({
    id,
    kind,
    backing: "none",
    granted: available,
    available,
    held: 0,
    expiresAt,
    concurrency: 0,
  });
  const order = (lots: Lot[], now = 100) => fundingOrder(lots, ["bonus", "earned"], now).map((each) => each.lot);

  it("is by kind as the lane lists them, then by expiry, those that stay last, then by id", () => {
    const lots = [
      lot("e", "earned", 110),
      lot("d", "bonus"),
      lot("c", "bonus", 300),
      lot("b", "bonus", 200),
      lot("a", "bonus"),
    ];
    expect(order(lots)).toEqual(["b", "c", "a", "d", "e"]);
  });

  it("leaves out other kinds, empty lots and expired ones", () => {
    const lots = [lot("t", "topup"), lot("0", "bonus", null, 0), lot("x", "bonus", 100), lot("y", "bonus", 101)];
    expect(order(lots)).toEqual(["y"]);
  });

  it("does not depend on the order in which lots are kept", () => {
    const lots = fc.uniqueArray(
      fc.record({ id: fc.uuid(), kind: fc.constantFrom("bonus", "earned"), expiresAt: fc.option(fc.nat(1_000)) }),
      { selector: ({ id }) => id },
    );
    fc.assert(
      fc.property(lots, (each) => {
        const all = each.map(({ id, kind, expiresAt }) => lot(id, kind as Lot["kind"], expiresAt));
        expect(order([...all].reverse())).toEqual(order(all));
      }),
    );
  });
});

it("shows a backed lot at the peg, rounded down, and an unbacked one as it is", () => {
  const rate = { millicredits: 2, nanoUsd: 3 };
  expect(shown("usdc", 100, rate)).toBe(66);
  expect(shown("none", 100, rate)).toBe(100);
});
