import { describe, expect, it } from "vitest";
import { type DailyRow, dailyRow, GENESIS_EPOCHS } from "../../../../core/allotment/daily-row.ts";
import { explain } from "../../../../core/allotment/explain.ts";
import { RATE_SCALE } from "../../../../core/allotment/rate.ts";
import { GENESIS_PARAMETERS, withParameters } from "../../../../core/parameters.ts";
import { type DayFacts, EPOCH, inputsOf, rowAfter, TOKEN, USD, USDC } from "../../../support/daily.ts";

/** The last of some days' rows. */
function after(...days: DayFacts[]): DailyRow {
  const last = days.reduce<DailyRow | null>((previous, facts) => rowAfter(previous, facts), null);
  if (last === null) throw new Error("no days");
  return last;
}

/** Days after the genesis epochs, each like the other. */
function settled(facts: DayFacts = {}, days = 60): DailyRow {
  return after(...Array.from({ length: days }, () => facts));
}

/** nanoUSD a day for a whole token. */
const perToken = (rate: bigint) => Number((rate * TOKEN) / RATE_SCALE);

describe("a day's row (economics.md §7)", () => {
  it("is worked out to the last unit", () => {
    const previous = settled();
    // By hand: the average nears $100 from below, and a day of $200 moves it by a quarter.
    const row = rowAfter(previous, { revenue: 200 * USD, issued: 30 * USD, spent: 12 * USD });
    const average = Math.floor((3 * previous.average + 200 * USD) / 4);
    expect(row).toMatchObject({ average, base: average, activity: 9_000, previousRate: previous.rate });
    expect(row.budget).toBe(Math.floor((average * 3) / 10));
    expect(row.budgetMost).toBe(Math.floor((average * 9) / 20));
    expect(row.target).toBe((BigInt(row.budget) * 9_000n * RATE_SCALE) / (10_000n * 1_000_000n * TOKEN));
    expect(row.rate).toBe(row.target < (previous.rate * 5n) / 4n ? row.target : (previous.rate * 5n) / 4n);
    expect(row.obligation).toBe(Number((row.rate * row.stake) / RATE_SCALE));
  });

  it("has every input and every parameter in it, so that it can be made again", () => {
    const previous = settled({ issued: USD, spent: USD });
    const row = rowAfter(previous, { revenue: 5 * USD });
    const again = dailyRow(
      {
        epoch: row.epoch,
        revenues: row.revenues,
        treasury: row.treasury,
        issued: row.issued,
        spent: row.spent,
        stakes: { units: row.stake, accounts: row.accounts },
      },
      { ...previous, rate: row.previousRate, average: row.previousAverage, genesis: row.genesis },
      withParameters({
        allotmentRevenueShareBasisPoints: row.revenueShare,
        allotmentTreasuryShareBasisPoints: row.treasuryShare,
        genesisBudgetNanoUsd: row.genesisBudget,
        minimumStakeUnits: row.minimumStake,
      }),
    );
    expect(again).toEqual(row);
  });

  it("averages revenue over seven days, a quarter of each new one", () => {
    const row = after({ revenue: 0 }, { revenue: 400 });
    expect(row.average).toBe(100);
    expect(rowAfter(row, { revenue: 0 }).average).toBe(75);
    expect(settled({ revenue: 1_000_000 }).average).toBeGreaterThan(999_990);
  });

  it("remembers a day on which more was taken back than earned, and budgets nothing below zero", () => {
    const row = rowAfter(settled({ revenue: 0 }), { revenue: -401 });
    expect(row).toMatchObject({ average: -101, base: 0, budget: 0, budgetMost: 0, rate: 0n, obligation: 0 });
    expect(rowAfter(row, { revenue: 0 }).average).toBe(-76);
  });

  describe("in the genesis epochs", () => {
    it("has the genesis budget without revenue, if the treasury can pay for it", () => {
      const rows = [rowAfter(null, { revenue: 0 })];
      for (let day = 1; day < 9; day++) rows.push(rowAfter(rows.at(-1) ?? null, { revenue: 0 }));
      const budgets = rows.map(({ budget }) => budget);
      expect(budgets.slice(0, GENESIS_EPOCHS)).toEqual(Array.from({ length: 7 }, () => expect.closeTo(10 * USD, -1)));
      expect(budgets.slice(GENESIS_EPOCHS)).toEqual([0, 0]);
      expect(Math.max(...budgets)).toBeLessThanOrEqual(GENESIS_PARAMETERS.genesisBudgetNanoUsd);
      expect(rows[6]?.bounds).toContain("genesis_budget");
      expect(rows[7]?.bounds).not.toContain("genesis_budget");
    });

    it("counts them from the first row, also where days are missing", () => {
      const first = rowAfter(null, { revenue: 0 });
      expect(rowAfter(first, { epoch: EPOCH + 6, revenue: 0 }).budget).toBeGreaterThan(0);
      expect(rowAfter(first, { epoch: EPOCH + 7, revenue: 0 }).budget).toBe(0);
    });

    it("has more where revenue gives more", () => {
      expect(rowAfter(null, { revenue: 1_000 * USD }).budget).toBe(75 * USD);
    });

    it("has nothing without a funded treasury", () => {
      for (const treasury of [0, null]) {
        expect(rowAfter(null, { treasury })).toMatchObject({
          budget: 0,
          rate: 0n,
          bounds: expect.arrayContaining(["treasury"]),
        });
      }
    });
  });

  it("never assumes a treasury: what nobody says counts as 0, and the row says so", () => {
    const row = settled({ treasury: null });
    expect(row).toMatchObject({ treasury: 0, treasuryKnown: false, budget: 0, budgetMost: 0, rate: 0n });
    expect(explain(row).find(({ of }) => of === "treasury")?.text).toMatch(/Nothing says/);
    expect(settled({ treasury: 0 }).treasuryKnown).toBe(true);
  });

  it("is bounded by the treasury's share where that is less than revenue's, and rises as it is funded", () => {
    const poor = settled({ treasury: 200 * USDC });
    expect(poor).toMatchObject({ budget: 4 * USD, budgetMost: 4 * USD });
    expect(poor.bounds).toContain("treasury");
    const funded = rowAfter(poor, { treasury: 10_000 * USDC });
    expect(funded.bounds).toContain("revenue");
    expect(funded.rate).toBe((poor.rate * 5n) / 4n);
  });

  it.each([
    [100, 0, 5_000, []],
    [100, 30, 8_000, []],
    [100, 50, 10_000, []],
    [100, 100, 15_000, []],
    [100, 101, 15_000, ["activity_most"]],
    [100, -1, 5_000, ["activity_least"]],
    [0, 50, 10_000, []],
    [3, 1, 8_333, []],
  ])("of %i issued and %i spent counts the budget by %i basis points", (issued, spent, activity, bounds) => {
    const row = rowAfter(null, { issued, spent });
    expect(row.activity).toBe(activity);
    expect(row.bounds.filter((bound) => bound.startsWith("activity"))).toEqual(bounds);
  });

  describe("smooths its rate", () => {
    const before = settled();

    it("down by a quarter a day at most", () => {
      const row = rowAfter(before, { revenue: 0, stake: 1_100_000n * TOKEN, issued: 10, spent: 0 });
      expect(row.target).toBeLessThan((before.rate * 3n) / 4n);
      expect(row.rate).toBe((before.rate * 3n) / 4n);
      expect(row.bounds).toContain("fall");
    });

    it("up by a quarter a day at most", () => {
      const row = rowAfter(before, { revenue: 900 * USD });
      expect(row.rate).toBe((before.rate * 5n) / 4n);
      expect(row.bounds).toContain("rise");
    });

    it("but to a tenth of its aim at once, where it was almost nothing", () => {
      const tiny = { ...before, rate: 10n as typeof before.rate };
      const row = rowAfter(tiny);
      expect(row.rate).toBe(row.target / 10n);
      expect(row.bounds).toContain("recovery");
    });

    it("not at all where there was none: it recovers from zero in one step", () => {
      const none = rowAfter(before, { treasury: 0 });
      expect(none.rate).toBe(0n);
      const row = rowAfter(none);
      expect(row.rate).toBe(row.target);
      expect(row.rate).toBeGreaterThan(0n);
    });

    it("never beyond what all allotments may come to", () => {
      const row = rowAfter(before, { treasury: 100 * USDC });
      expect(row.budgetMost).toBe(2 * USD);
      expect(row.rate).toBeLessThan((before.rate * 3n) / 4n);
      expect(row.obligation).toBeLessThanOrEqual(2 * USD);
      expect(row.bounds).toContain("obligation");
      const more = rowAfter(before, { stake: 1_000_000_000n * TOKEN });
      expect(more.obligation).toBeLessThanOrEqual(more.budgetMost);
      expect(more.bounds).toContain("obligation");
    });
  });

  it("has no rate without stake, and the full one when stake is back", () => {
    const none = rowAfter(settled(), { stake: 0n, accounts: 0 });
    expect(none).toMatchObject({ rate: 0n, target: 0n, obligation: 0, stakeKnown: true });
    expect(none.bounds).toContain("no_stake");
    expect(rowAfter(none).rate).toBe(rowAfter(none).target);
    expect(rowAfter(settled(), { stake: null })).toMatchObject({ rate: 0n, stakeKnown: false });
  });

  it("takes up every day that closed since the row before, also after missed ones", () => {
    const first = rowAfter(null, { revenue: 0 });
    const inputs = inputsOf({ epoch: EPOCH + 4, revenue: 400 }, first);
    expect(inputs.revenues.map(({ day }) => day)).toEqual([EPOCH - 1, EPOCH, EPOCH + 1, EPOCH + 2]);
    const byDay = [0, 1, 2, 3].reduce<DailyRow>((row) => rowAfter(row, { revenue: 400 }), first);
    expect(rowAfter(first, { epoch: EPOCH + 4, revenue: 400 })).toMatchObject({
      average: byDay.average,
      previousEpoch: EPOCH,
      previousRate: first.rate,
    });
    expect(() => dailyRow({ ...inputs, revenues: inputs.revenues.slice(1) }, first, GENESIS_PARAMETERS)).toThrow(
      /days/,
    );
    expect(() => rowAfter(first, { epoch: EPOCH })).toThrow(/before the last row/);
  });

  it("keeps the rate in nanoUSD when the peg changes, which only the shown credits follow", () => {
    const before = settled();
    const pegged = rowAfter(before, {}, withParameters({ pegMillicredits: 3, pegNanoUsd: 2 }));
    expect(pegged.peg).toEqual({ millicredits: 3, nanoUsd: 2 });
    expect({ ...pegged, peg: null }).toEqual({ ...rowAfter(before), peg: null });
  });

  it("is explained by a sentence for each input and each bound that applied", () => {
    const row = rowAfter(settled(), { treasury: 100 * USDC, issued: 100, spent: 1_000, accounts: 2 });
    expect(explain(row).map(({ of }) => of)).toEqual([
      "revenues",
      "genesis",
      "revenue_share",
      "treasury",
      "issued",
      "stake",
      "previous",
      "peg",
      ...row.bounds,
    ]);
    expect(row.bounds).toEqual(["treasury", "activity_most", "fall", "obligation"]);
    for (const { text } of explain(row)) expect(text).toMatch(/^[A-Z0-9$].*\.$/);
    expect(explain(row)[5]?.text).toBe(
      "2 accounts have a stake of 1000000000000 units or more, together 1000000000000000.",
    );
    expect(perToken(row.rate)).toBe(2_000);
  });
});
