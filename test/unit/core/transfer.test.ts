import * as fc from "fast-check";
import { expect, it } from "vitest";
import { type Backing, LOT_KINDS, type LotKind } from "../../../core/account/lots.ts";
import { type AccountState, apply, dump, emptyAccount, restore } from "../../../core/account/state.ts";
import { decideSending, RECEIVED_LOT, SENDABLE, sendable } from "../../../core/account/transfer.ts";
import { GENESIS_PEG, type Millicredits, type Peg, toMillicreditsFloor } from "../../../core/units.ts";

const NOW = 1_000;

function account(...lots: [LotKind, Backing, number, (number | null)?][]): AccountState {
  const state = emptyAccount();
  for (const [index, [kind, backing, granted, expiresAt = null]] of lots.entries()) {
    const lot = { id: `lot ${index}`, kind, backing, granted, expiresAt, concurrency: 0 };
    apply(state, { type: "credited", lot }, NOW);
  }
  return state;
}

const decide = (state: AccountState, amount: number, peg = GENESIS_PEG) =>
  decideSending(state, amount as Millicredits, peg, NOW);

it("draws received before earned before top-up, and strips what stood behind", () => {
  const state = account(["topup", "usdc", 900], ["earned", "none", 50], ["received", "none", 30]);
  expect(decide(state, 100)).toEqual({
    draws: [
      { lot: "lot 2", kind: "received", backing: "none", amount: 30 },
      { lot: "lot 1", kind: "earned", backing: "none", amount: 50 },
      { lot: "lot 0", kind: "topup", backing: "usdc", amount: 20 },
    ],
    millicredits: 100,
    stripped: 20,
  });
});

it.each<[LotKind, Backing]>([
  ["bonus", "none"],
  ["allotment", "usdc"],
  ["package", "usdc"],
])("sends nothing of a %s", (kind, backing) => {
  const state = account([kind, backing, 1_000, NOW + 1], ["earned", "none", 5]);
  expect(decide(state, 6)).toMatchObject({
    refusal: { code: "insufficient_credits", param: "amount", metadata: { sendable: "0.005", shortfall: "0.001" } },
  });
  expect(decide(state, 5)).toMatchObject({ millicredits: 5 });
});

it("moves every unit once: what leaves one account arrives in the other, at any peg", () => {
  const lot = fc.tuple(
    fc.constantFrom(...LOT_KINDS),
    fc.constantFrom<Backing>("usdc", "none"),
    fc.integer({ min: 1, max: 5_000 }),
  );
  const pegs = fc.constantFrom<Peg>(GENESIS_PEG, { millicredits: 7, nanoUsd: 3 }, { millicredits: 2, nanoUsd: 5 });
  fc.assert(
    fc.property(fc.array(lot, { maxLength: 6 }), fc.integer({ min: 1, max: 20_000 }), pegs, (lots, amount, peg) => {
      const [from, to] = [account(...lots), account(["received", "none", 3])];
      const there = sendable(from, peg, NOW);
      const sending = decide(from, amount, peg);
      if ("refusal" in sending) {
        expect(there).toBeLessThan(amount);
        return;
      }
      expect(there).toBeGreaterThanOrEqual(amount);
      const unbacked = sending.draws
        .filter(({ backing }) => backing === "none")
        .reduce((sum, each) => sum + each.amount, 0);
      // What is stripped is worth what it has to cover, and less than a millicredit more for each lot.
      const covered = amount - unbacked;
      expect(toMillicreditsFloor(sending.stripped, peg)).toBeGreaterThanOrEqual(covered);
      for (const { kind, amount: drawn, lot: id } of sending.draws) {
        expect(SENDABLE).toContain(kind);
        expect(drawn).toBeLessThanOrEqual(from.lots.get(id)?.available ?? 0);
      }
      const before = [...from.lots.values()].reduce((sum, each) => sum + each.available, 0);
      apply(from, { type: "sent", transfer: "t", draws: sending.draws }, NOW);
      const after = [...from.lots.values()].reduce((sum, each) => sum + each.available, 0);
      expect(before - after).toBe(sending.draws.reduce((sum, each) => sum + each.amount, 0));
      for (let time = 0; time < 2; time++) {
        apply(to, { type: "received", lot: RECEIVED_LOT, kind: "received", amount: sending.millicredits }, NOW);
      }
      expect(to.lots.get(RECEIVED_LOT)).toMatchObject({ available: 2 * amount, granted: 2 * amount, backing: "none" });
      expect(restore(dump(to))).toEqual(to);
    }),
  );
});
