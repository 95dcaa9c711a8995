/** Rows of daily epochs for tests and simulations: one day's facts become the inputs of a row. */

import { type DailyInputs, type DailyRow, dailyRow } from "../../core/allotment/daily-row.ts";
import { closedDays } from "../../core/allotment/epochs.ts";
import { GENESIS_PARAMETERS, type Parameters } from "../../core/parameters.ts";
import { microUsdc, type NanoUsd, stakeUnits } from "../../core/units.ts";

export const EPOCH = 20_000;
/** nanoUSD and micro-USDC of a dollar, units of a whole staked token. */
export const USD = 1_000_000_000;
export const USDC = 1_000_000;
export const TOKEN = 1_000_000_000n;

/** What one day brings, in whole numbers of its units. */
export interface DayFacts {
  readonly epoch?: number;
  /** nanoUSD of each closed day. */
  readonly revenue?: number;
  readonly treasury?: number | null;
  readonly issued?: number;
  readonly spent?: number;
  readonly stake?: bigint | null;
  readonly accounts?: number;
}

/** Inputs of a row: revenue of $100 a day, a treasury of $1,000,000, 1,000,000 tokens staked, unless the facts differ. */
export function inputsOf(facts: DayFacts, previous: DailyRow | null = null): DailyInputs {
  const { epoch = (previous?.epoch ?? EPOCH - 1) + 1, revenue = 100 * USD, treasury = 1_000_000 * USDC } = facts;
  const { issued = 0, spent = 0, stake = 1_000_000n * TOKEN, accounts = 1 } = facts;
  return {
    epoch,
    revenues: closedDays(epoch, previous?.epoch ?? null).map((day) => ({ day, nanoUsd: revenue as NanoUsd })),
    treasury: treasury === null ? null : microUsdc(treasury),
    issued: issued as NanoUsd,
    spent: spent as NanoUsd,
    stakes: stake === null ? null : { units: stakeUnits(stake), accounts },
  };
}

/** The row after another one. */
export function rowAfter(
  previous: DailyRow | null,
  facts: DayFacts = {},
  parameters: Parameters = GENESIS_PARAMETERS,
): DailyRow {
  return dailyRow(inputsOf(facts, previous), previous, parameters);
}
