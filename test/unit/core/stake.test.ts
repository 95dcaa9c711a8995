import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AccountId } from "../../../core/ids.ts";
import { countedAmount, sumByAccount, type WalletStake } from "../../../core/stake/counted.ts";
import { type Movement, smallestIn } from "../../../core/stake/smallest.ts";
import { snapshotDueAt, snapshotEndsAt } from "../../../core/stake/times.ts";
import { type StakeUnits, stakeUnits } from "../../../core/units.ts";

const units = (amount: number | bigint): StakeUnits => stakeUnits(BigInt(amount));
const add = (amounts: readonly bigint[]): bigint => amounts.reduce((sum, amount) => sum + amount, 0n);
const A = "A" as AccountId;
const B = "B" as AccountId;
const wallet = (amount: number | bigint, account = A, linkedAt = 1): WalletStake => ({
  account,
  linkedAt,
  amount: units(amount),
});

describe("stake units", () => {
  it("are whole numbers that a token program can count", () => {
    expect(stakeUnits(2n ** 64n - 1n)).toBe(18_446_744_073_709_551_615n);
    for (const value of [-1n, 2n ** 64n]) expect(() => stakeUnits(value)).toThrow(RangeError);
  });
});

describe("a snapshot (economics.md §7)", () => {
  it("begins at 23:00 UTC of the day before its epoch and ends at 23:30", () => {
    const epoch = Date.parse("2026-11-26T00:00:00Z") / 86_400_000;
    expect(new Date(snapshotDueAt(epoch)).toISOString()).toBe("2026-11-25T23:00:00.000Z");
    expect(new Date(snapshotEndsAt(epoch)).toISOString()).toBe("2026-11-25T23:30:00.000Z");
    for (const wrong of [0, -1, 1.5, Number.NaN, 2 ** 53]) expect(() => snapshotDueAt(wrong)).toThrow(RangeError);
  });
});

describe("what moved during a reading", () => {
  const span = { first: 10, last: 20 };
  const move = (slot: number, before: number, after: number): Movement => ({
    slot,
    before: units(before),
    after: units(after),
  });

  it.each<[string, number, Movement[], number]>([
    ["what did not move", 100, [], 100],
    ["what left after it was read", 100, [move(15, 100, 30)], 30],
    ["what came after it was read", 0, [move(15, 0, 100)], 0],
    ["what came before it was read", 100, [move(11, 40, 100)], 40],
    ["what left and came back, at its emptiest", 100, [move(18, 0, 100), move(12, 100, 0)], 0],
    ["what came in the first slot, from before it", 100, [move(10, 40, 100)], 40],
    ["what left in the first and the last slot", 90, [move(10, 100, 90), move(20, 90, 80)], 80],
    ["what moved before the span or after it", 100, [move(9, 5, 100), move(21, 100, 5)], 100],
    ["an account that was closed", 100, [move(20, 100, 0)], 0],
  ])("counts %s", (_, read, movements, counted) => {
    expect(smallestIn(span, units(read), movements)).toBe(units(counted));
  });

  it("never counts stake twice that wanders between wallets, whenever each of them is read", () => {
    const wallets = 5;
    const start = fc.array(fc.bigInt(0n, 2n ** 60n), { minLength: wallets, maxLength: wallets });
    const transfer = fc.record({
      slot: fc.nat(30),
      from: fc.nat(wallets - 1),
      to: fc.nat(wallets - 1),
      part: fc.nat(4),
    });
    const readAt = fc.array(fc.integer({ min: 5, max: 25 }), { minLength: wallets, maxLength: wallets });
    fc.assert(
      fc.property(start, fc.array(transfer, { maxLength: 60 }), readAt, (balances, transfers, slots) => {
        const now = balances.map((amount) => units(amount));
        const movements: Movement[][] = now.map(() => []);
        const read = [...now];
        const last = Math.max(...slots);
        let atTheEnd = 0n;
        for (let slot = 0; slot <= 30; slot++) {
          for (const { from, to, part } of transfers.filter((one) => one.slot === slot && one.from !== one.to)) {
            const amount = ((now[from] ?? units(0)) * BigInt(part)) / 4n;
            for (const [place, change] of [[from, -amount] as const, [to, amount] as const]) {
              const before = now[place] ?? units(0);
              now[place] = units(before + change);
              movements[place]?.push({ slot, before, after: units(before + change) });
            }
          }
          slots.forEach((at, place) => {
            if (at === slot) read[place] = now[place] ?? units(0);
          });
          if (slot === last) atTheEnd = add(now);
        }
        const span = { first: Math.min(...slots), last };
        const counted = read.map((amount, place) => smallestIn(span, amount, movements[place] ?? []));
        expect(add(counted)).toBeLessThanOrEqual(atTheEnd);
        expect(atTheEnd).toBe(add(balances));
        // Nobody who kept still during the reading loses.
        counted.forEach((amount, place) => {
          const moved = movements[place]?.some(({ slot }) => slot >= span.first && slot <= span.last);
          if (!moved) expect(amount).toBe(read[place]);
        });
      }),
      { numRuns: 300 },
    );
  });
});

describe("what counts of two snapshots", () => {
  it("is the smaller one", () => {
    expect(countedAmount(wallet(70), wallet(100))).toBe(70n);
    expect(countedAmount(wallet(100), wallet(70))).toBe(70n);
    expect(countedAmount(wallet(0), wallet(70))).toBe(0n);
  });

  it("is nothing at the first one, and from the second one on after a wallet was linked anew", () => {
    expect(countedAmount(wallet(100), null)).toBe(0n);
    expect(countedAmount(wallet(100, B, 2), wallet(100, A, 1))).toBe(0n);
    expect(countedAmount(wallet(100, B, 1), wallet(100, A, 1))).toBe(0n);
    expect(countedAmount(wallet(100, B, 2), wallet(100, B, 2))).toBe(100n);
    // Away and back within a day: the same account, but another link.
    expect(countedAmount(wallet(100, A, 3), wallet(100, A, 1))).toBe(0n);
  });

  it("adds up an account's wallets, each by its own minimum, beyond 2^53", () => {
    const large = 2n ** 62n;
    const pairs = [
      { latest: wallet(large), before: wallet(large + 5n) },
      { latest: wallet(7), before: wallet(3) },
      { latest: wallet(9, B), before: null },
      { latest: wallet(4, B), before: wallet(4, B) },
    ];
    expect(sumByAccount(pairs)).toEqual([
      { account: A, stake: large + 3n },
      { account: B, stake: 4n },
    ]);
    expect(sumByAccount([{ latest: wallet(9), before: wallet(0) }])).toEqual([]);
  });

  it("is never more for a stake that is split over wallets", () => {
    const part = fc.record({ latest: fc.bigInt(0n, 2n ** 40n), before: fc.bigInt(0n, 2n ** 40n) });
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 20 }), (parts) => {
        const split = parts.map(({ latest, before }) => ({ latest: wallet(latest), before: wallet(before) }));
        const together = countedAmount(
          wallet(add(parts.map(({ latest }) => latest))),
          wallet(add(parts.map(({ before }) => before))),
        );
        const [sum] = sumByAccount(split);
        expect(sum?.stake ?? 0n).toBeLessThanOrEqual(together);
      }),
    );
  });
});
