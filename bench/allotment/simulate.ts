/** The daily allotment over years, day by day: what happens to the network on each day, and the rows that follow from it. */

import { type DailyRow, dailyRow } from "../../core/allotment/daily-row.ts";
import { closedDays } from "../../core/allotment/epochs.ts";
import { allotted } from "../../core/allotment/rate.ts";
import type { Parameters } from "../../core/parameters.ts";
import { type MicroUsdc, type NanoUsd, nanoUsd, type StakeUnits, sum } from "../../core/units.ts";

/** What one day is like. */
export interface Day {
  /** The network's shares of packages and top-ups, in nanoUSD. */
  readonly revenue: number;
  readonly treasury: number | null;
  /** The stake of each account, in the token's own unit; null where no snapshot came. */
  readonly stakes: readonly bigint[] | null;
  /** What of its allotment each account spends, from 0 to 1. */
  readonly use: number;
  /** Whether no row was made for this day. */
  readonly isMissed: boolean;
}

/** A day as it went. */
export interface DayResult {
  readonly day: number;
  readonly revenue: NanoUsd;
  /** Null on a day without a row, on which nobody had an allotment. */
  readonly row: DailyRow | null;
  /** What all accounts were given, and spent of it. */
  readonly granted: NanoUsd;
  readonly spent: NanoUsd;
}

/** Plays days one after the other, from the epoch `first` on. */
export function simulate(days: readonly Day[], first: number, parameters: Parameters): DayResult[] {
  const results: DayResult[] = [];
  let previous = null as DailyRow | null;
  const resultOf = (epoch: number) => results[epoch - first];
  for (const [day, { revenue, treasury, stakes, use, isMissed }] of days.entries()) {
    const epoch = first + day;
    const counted = (stakes ?? []).filter((stake) => stake >= BigInt(parameters.minimumStakeUnits));
    const closed = resultOf(epoch - 2);
    const row: DailyRow | null = isMissed
      ? null
      : dailyRow(
          {
            epoch,
            revenues: closedDays(epoch, previous?.epoch ?? null).map((each) => ({
              day: each,
              nanoUsd: resultOf(each)?.revenue ?? (0 as NanoUsd),
            })),
            treasury: treasury as MicroUsdc | null,
            issued: closed?.row?.obligation ?? (0 as NanoUsd),
            spent: closed?.spent ?? (0 as NanoUsd),
            stakes: stakes === null ? null : { units: total(counted), accounts: counted.length },
          },
          previous,
          parameters,
        );
    const grants =
      row === null ? [] : counted.map((stake) => allotted(stake as StakeUnits, row.rate, row.minimumStake));
    const spent = sum(grants.map((granted) => nanoUsd(Math.floor(granted * use))));
    results.push({ day, revenue: nanoUsd(revenue), row, granted: sum(grants), spent });
    previous = row ?? previous;
  }
  return results;
}

function total(stakes: readonly bigint[]): StakeUnits {
  return stakes.reduce((all, stake) => all + stake, 0n) as StakeUnits;
}
