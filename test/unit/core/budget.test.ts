import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  NO_SPENDING,
  nextReset,
  overBudget,
  RESETS,
  type Reset,
  spentIn,
  stretchStart,
  withEnded,
  withHeld,
} from "../../../core/account/budget.ts";
import { DAY_MS } from "../../../core/time.ts";
import { type NanoUsd, nanoUsd } from "../../../core/units.ts";

const at = (text: string) => Date.parse(text);

describe("a stretch", () => {
  it.each<[Reset, string, string, string]>([
    ["daily", "2026-11-25T23:59:59.999Z", "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"],
    ["weekly", "2026-11-25T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"],
    // A Monday begins its own week, a Sunday ends the one before.
    ["weekly", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"],
    ["weekly", "2026-11-22T23:59:59.999Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"],
    ["monthly", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"],
    ["monthly", "2026-12-31T23:59:59.999Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"],
  ])("%s around %s begins at %s and ends at %s", (reset, now, start, end) => {
    expect(stretchStart(reset, at(now))).toBe(at(start));
    expect(nextReset(reset, at(now))).toBe(at(end));
  });

  it("holds its time, and the next one begins where it ends", () => {
    const time = fc.integer({ min: 0, max: at("2100-01-01T00:00:00Z") });
    fc.assert(
      fc.property(time, fc.constantFrom(...RESETS), (now, reset) => {
        const [start, end] = [stretchStart(reset, now), nextReset(reset, now)];
        expect(start).toBeLessThanOrEqual(now);
        if (end === null) return;
        expect(end).toBeGreaterThan(now);
        expect(stretchStart(reset, end)).toBe(end);
        expect(stretchStart(reset, end - 1)).toBe(start);
        if (reset === "weekly") expect(new Date(start).getUTCDay()).toBe(1);
      }),
    );
  });
});

describe("a budget", () => {
  const budget = { nanoUsd: nanoUsd(100), reset: "daily" } as const;

  it("counts what is reserved and what was spent since its beginning, to the last unit", () => {
    let spending = withHeld(withEnded(withHeld(NO_SPENDING, nanoUsd(40)), nanoUsd(40), nanoUsd(30), 5), nanoUsd(50));
    expect(spentIn(spending, "daily", 5)).toBe(30);
    expect(overBudget(budget, spending, nanoUsd(20), 5)).toBeNull();
    const over = overBudget(budget, spending, nanoUsd(21), 5);
    expect(over).toMatchObject({
      code: "budget_exceeded",
      metadata: {
        budget_usd: "0.000000100",
        spent_usd: "0.000000030",
        held_usd: "0.000000050",
        required_usd: "0.000000021",
        reset_at: "1970-01-02T00:00:00.000Z",
      },
    });
    // The next day what was spent counts no more, what is reserved still does.
    expect(overBudget(budget, spending, nanoUsd(50), DAY_MS)).toBeNull();
    expect(overBudget(budget, spending, nanoUsd(51), DAY_MS)).not.toBeNull();
    spending = withEnded(spending, nanoUsd(50), nanoUsd(45), DAY_MS);
    expect([spentIn(spending, "daily", DAY_MS), spentIn(spending, "never", DAY_MS)]).toEqual([45, 75]);
    expect(overBudget(null, spending, nanoUsd(1e15), 0)).toBeNull();
  });

  it("is never passed in any stretch, however jobs begin and end", () => {
    const job = fc.record({ wait: fc.nat(DAY_MS / 2), price: fc.nat(60), used: fc.nat(60), ends: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(job, { maxLength: 60 }), fc.constantFrom(...RESETS), (jobs, reset) => {
        let [spending, now] = [NO_SPENDING, 0];
        const open: { price: NanoUsd; used: NanoUsd }[] = [];
        const spent = new Map<number, number>();
        for (const { wait, price, used, ends } of jobs) {
          now += wait;
          for (const { price: held, used: charge } of open.splice(0, ends)) {
            spending = withEnded(spending, held, charge, now);
            const start = stretchStart(reset, now);
            spent.set(start, (spent.get(start) ?? 0) + charge);
          }
          if (overBudget({ nanoUsd: nanoUsd(100), reset }, spending, nanoUsd(price), now) !== null) continue;
          spending = withHeld(spending, nanoUsd(price));
          open.push({ price: nanoUsd(price), used: nanoUsd(Math.min(price, used)) });
          expect(spentIn(spending, reset, now)).toBe(spent.get(stretchStart(reset, now)) ?? 0);
        }
        expect(Math.max(0, ...spent.values())).toBeLessThanOrEqual(100);
        expect(spending.held).toBe(open.reduce((sum, { price }) => sum + price, 0));
      }),
    );
  });
});
