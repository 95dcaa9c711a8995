import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideHold, type HoldCommand } from "../../../../core/account/hold.ts";
import { apply, emptyAccount } from "../../../../core/account/state.ts";
import type { DailyRow } from "../../../../core/allotment/daily-row.ts";
import {
  closedDays,
  epochDay,
  epochOf,
  epochStart,
  RESET_SPREAD_MS,
  resetDelay,
  rowTimes,
} from "../../../../core/allotment/epochs.ts";
import { type AllotmentRate, allotted, stakeConcurrency } from "../../../../core/allotment/rate.ts";
import type { JobId, KeyId } from "../../../../core/ids.ts";
import { GENESIS_PARAMETERS } from "../../../../core/parameters.ts";
import { perThousand } from "../../../../core/pricing.ts";
import { GENESIS_PEG, type StakeUnits } from "../../../../core/units.ts";
import { EPOCH, rowAfter } from "../../../support/daily.ts";
import { TEST_TERMS } from "../../../support/receipts.ts";

/** A job on the allotment. */
const INCLUDED: HoldCommand = {
  job: "job" as JobId,
  key: { id: "key" as KeyId, models: null, budget: null },
  lane: "included",
  lanes: ["included"],
  choosesProvider: false,
  mostBasisPoints: null,
  maxAsk: perThousand(TEST_TERMS.rate),
  allowPaid: false,
  model: "m",
  body: "00",
  rate: TEST_TERMS.rate,
  promptBound: 0,
  completion: 1_000,
  completionDefault: 1_000,
  choices: 1,
  expiresAt: 3,
  peg: GENESIS_PEG,
};

const minimum = GENESIS_PARAMETERS.minimumStakeUnits;
const stakes = fc.array(fc.bigInt(1n, 10n ** 18n), { maxLength: 30 });
const day = fc.record({
  skipped: fc.integer({ min: 0, max: 3 }),
  revenue: fc.integer({ min: -(10 ** 12), max: 10 ** 13 }),
  treasury: fc.oneof(fc.constant(null), fc.constant(0), fc.integer({ min: 0, max: 10 ** 15 })),
  spentShare: fc.integer({ min: -10, max: 200 }),
  stakes,
});

const eligible = (all: readonly bigint[]) => all.filter((stake) => stake >= BigInt(minimum));
const total = (all: readonly bigint[]) => all.reduce((sum, stake) => sum + stake, 0n);
const sumOf = (all: readonly bigint[], rate: AllotmentRate) =>
  all.reduce((sum, stake) => sum + allotted(stake as StakeUnits, rate, minimum), 0);

it("over any history the allotments stay within the bound that was published, and the rate within its steps", () => {
  fc.assert(
    fc.property(fc.array(day, { minLength: 1, maxLength: 40 }), (days) => {
      let row: DailyRow | null = null;
      for (const { skipped, revenue, treasury, spentShare, stakes: all } of days) {
        const counted = eligible(all);
        const before: DailyRow | null = row;
        const issued = before?.obligation ?? 0;
        row = rowAfter(before, {
          epoch: (before?.epoch ?? EPOCH) + 1 + skipped,
          revenue,
          treasury,
          issued,
          spent: Math.floor((issued * spentShare) / 100),
          stake: total(counted),
          accounts: counted.length,
        });
        const paid = sumOf(all, row.rate);
        expect(paid).toBeLessThanOrEqual(row.obligation);
        expect(row.obligation - paid).toBeLessThanOrEqual(counted.length);
        expect(row.obligation).toBeLessThanOrEqual(row.budgetMost);
        expect(row.budget).toBeLessThanOrEqual(row.budgetMost);
        expect(row.budgetMost).toBeLessThanOrEqual(((treasury ?? 0) * 1_000 * 2) / 100);
        const last: bigint = before?.rate ?? 0n;
        if (last === 0n) continue;
        const ceiling = (last * 5n) / 4n > row.target / 10n ? (last * 5n) / 4n : row.target / 10n;
        expect(row.rate <= ceiling).toBe(true);
        if (!row.bounds.some((bound) => bound === "obligation" || bound === "no_stake")) {
          expect(row.rate >= (last * 3n) / 4n).toBe(true);
        }
      }
    }),
  );
});

describe("however a stake is split over wallets", () => {
  const split = fc.array(fc.bigInt(0n, 5n * BigInt(minimum)), { minLength: 2, maxLength: 20 });
  const rates = fc.bigInt(0n, 10n ** 19n).map((rate) => rate as AllotmentRate);

  it("its allotments are at most those of one wallet, and equal only where every part is above the minimum", () => {
    fc.assert(
      fc.property(split, rates, (parts, rate) => {
        const whole = allotted(total(parts) as StakeUnits, rate, minimum);
        const apart = sumOf(parts, rate);
        expect(apart).toBeLessThanOrEqual(whole);
        // Each wallet rounds down once, and so does the whole.
        const lost = parts.filter((part) => part < BigInt(minimum));
        const forgone = Number((total(lost) * rate) / 10n ** 18n);
        if (total(parts) >= BigInt(minimum)) {
          expect(whole - apart).toBeGreaterThanOrEqual(forgone);
          expect(whole - apart - forgone).toBeLessThanOrEqual(parts.length);
        }
      }),
    );
  });

  it("it carries at most as many jobs at once as one wallet", () => {
    fc.assert(
      fc.property(split, (parts) => {
        const apart = parts.reduce((sum, part) => sum + stakeConcurrency(part as StakeUnits, minimum), 0);
        const whole = stakeConcurrency(total(parts) as StakeUnits, minimum);
        expect(apart).toBeLessThanOrEqual(whole);
        // Parts below the minimum carry nothing, and each of the others rounds down once.
        const counted = eligible(parts);
        expect(apart).toBeLessThanOrEqual(stakeConcurrency(total(counted) as StakeUnits, minimum));
        if (counted.length === parts.length) expect(whole - apart).toBeLessThan(Math.max(1, parts.length));
        if (parts.every((part) => part % BigInt(minimum) === 0n)) expect(apart).toBe(whole);
      }),
    );
  });

  it("runs at most as many jobs at once in accounts apart as in one", () => {
    const jobsAtOnce = (stake: bigint): number => {
      const state = emptyAccount();
      const concurrency = stakeConcurrency(stake as StakeUnits, minimum);
      // Never short of money, so that what stops it is the stake.
      const lot = { kind: "allotment", backing: "usdc", granted: 10 ** 12, expiresAt: 2, concurrency } as const;
      apply(state, { type: "credited", lot: { ...lot, id: "today" } }, 1);
      for (;;) {
        const job = `job ${state.order}` as JobId;
        const decision = decideHold(state, { ...INCLUDED, job }, GENESIS_PARAMETERS, 1);
        if (decision.type !== "held") {
          expect(decision.refusal.code).toBe("concurrency_limit");
          return state.holds.size;
        }
        apply(state, { type: "held", hold: decision.hold }, 1);
      }
    };
    fc.assert(
      fc.property(split, (parts) => {
        const apart = parts.reduce((sum, part) => sum + jobsAtOnce(part), 0);
        const whole = jobsAtOnce(total(parts));
        expect(apart).toBeLessThanOrEqual(whole);
        expect(whole).toBe(Number(total(parts) / BigInt(minimum)));
      }),
    );
  });

  it("also where the rate follows from what still counts", () => {
    fc.assert(
      fc.property(split, stakes, (parts, others) => {
        const rateOf = (all: readonly bigint[]) => rowAfter(null, { stake: total(eligible(all)) }).rate;
        const whole = allotted(total(parts) as StakeUnits, rateOf([total(parts), ...others]), minimum);
        expect(sumOf(parts, rateOf([...parts, ...others]))).toBeLessThanOrEqual(whole + 1);
      }),
    );
  });
});

it.each([
  [BigInt(minimum) - 1n, 0, 0],
  [BigInt(minimum), 1_000, 1],
  [BigInt(minimum) * 2n - 1n, 1_999, 1],
  [2n ** 64n - 1n, 18_446_744_073, 18_446_744],
])("a stake of %s units gives %i nanoUSD and %i jobs at once", (stake, nanoUsd, jobs) => {
  // A nanoUSD a day for a thousand million units.
  const rate = 10n ** 9n;
  expect(allotted(stake as StakeUnits, rate as AllotmentRate, minimum)).toBe(nanoUsd);
  expect(stakeConcurrency(stake as StakeUnits, minimum)).toBe(jobs);
});

it("numbers epochs by the days of UTC", () => {
  const midnight = Date.UTC(2026, 10, 25);
  expect([midnight - 1, midnight, midnight + 86_399_999].map((time) => epochDay(epochOf(time)))).toEqual([
    "2026-11-24",
    "2026-11-25",
    "2026-11-25",
  ]);
  expect(epochStart(epochOf(midnight + 5))).toBe(midnight);
});

it("makes the row of a day in the half hour before it, a minute short", () => {
  const times = Object.values(rowTimes(epochOf(Date.UTC(2026, 10, 25))));
  expect(times.map((time) => new Date(time).toISOString().slice(0, 16))).toEqual([
    "2026-11-24T23:30",
    "2026-11-24T23:45",
    "2026-11-24T23:59",
  ]);
});

it("adds each closed day to the average once, whichever rows are missing", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }), (steps) => {
      let previous: number | null = null;
      const days: number[] = [];
      for (const step of steps) {
        const epoch: number = (previous ?? EPOCH) + step;
        days.push(...closedDays(epoch, previous));
        previous = epoch;
      }
      expect(days).toEqual(days.map((_, index) => (days[0] ?? 0) + index));
      expect(days.at(-1)).toBe((previous ?? 0) - 2);
    }),
  );
});

it("wakes accounts evenly over ten minutes, each at its own time", () => {
  const accounts = Array.from({ length: 10_000 }, (_, index) => `account${index}`);
  const delays = accounts.map(resetDelay);
  expect(accounts.map(resetDelay)).toEqual(delays);
  expect(Math.max(...delays)).toBeLessThan(RESET_SPREAD_MS);
  const perMinute = Array.from({ length: 10 }, () => 0);
  for (const delay of delays) {
    const minute = Math.floor(delay / 60_000);
    perMinute[minute] = (perMinute[minute] ?? 0) + 1;
  }
  for (const count of perMinute) expect(Math.abs(count - 1_000)).toBeLessThan(200);
});
