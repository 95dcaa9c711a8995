/** Shapes of the daily epochs: each row with every number that went into it and came out of it (economics.md §7). */

import { z } from "zod";
import type { DailyRow } from "../../core/allotment/daily-row.ts";
import { epochDay, epochStart } from "../../core/allotment/epochs.ts";
import { explain, rateText } from "../../core/allotment/explain.ts";
import { formatUsd } from "../../core/units.ts";
import { time, timeText, usd } from "./common.ts";

const epochNumber = z.int().meta({ description: "Days since 1970-01-01.", example: 20_782 });
const digits = z.string().regex(/^\d+$/);
const rate = z
  .string()
  .regex(/^\d+\.\d{18}$/)
  .meta({ description: "nanoUSD for each stake unit and day.", example: "0.000002499999999999" });
const basisPoints = z.int().meta({ description: "Basis points.", example: 3_000 });

export const dailyEpoch = z.object({
  epoch: epochNumber,
  day: z.iso.date().meta({ example: "2026-11-25" }),
  starts_at: time,
  inputs: z.object({
    genesis: z.iso.date().meta({ description: "The day of the first row of all.", example: "2026-11-20" }),
    previous: z
      .object({ epoch: epochNumber, average_revenue: usd, rate })
      .nullable()
      .meta({ description: "The last row before this one; null for the first." }),
    revenue: z.array(z.object({ day: z.iso.date(), usd })).meta({
      description: "The network's shares of packages and top-ups on each day closed since, net of reversals.",
    }),
    treasury_micro_usdc: z.int().meta({ description: "Free treasury, in 1e-6 USDC.", example: 1_000_000_000_000 }),
    treasury_known: z.boolean().meta({ description: "False where nothing says what is free: it counts as 0." }),
    issued: usd.meta({ description: "Allotments of the last closed epoch (this one − 2)." }),
    spent: usd.meta({ description: "What was spent of them." }),
    stake: digits.meta({ description: "Stake that counts, in the token's own unit.", example: "6000000000000" }),
    stake_known: z.boolean().meta({ description: "False where no snapshot came in time: none counts." }),
    accounts: z.int().meta({ description: "Accounts with stake that counts.", example: 2 }),
    parameters: z.object({
      revenue_share: basisPoints,
      treasury_share: basisPoints,
      genesis_budget: usd,
      minimum_stake: digits.meta({ example: "1000000000000" }),
    }),
    peg: z.object({ millicredits: z.int(), nano_usd: z.int() }),
  }),
  outputs: z.object({
    average_revenue: usd.meta({ description: "R: the 7-day average." }),
    base_revenue: usd.meta({ description: "R*: with the genesis epochs' least." }),
    budget: usd.meta({ description: "B" }),
    budget_most: usd.meta({ description: "B_max: what all allotments may come to." }),
    activity: basisPoints.meta({ description: "a", example: 10_000 }),
    target_rate: rate.meta({ description: "r*: before smoothing and bounds." }),
    rate: rate.meta({ description: "r: an account's allotment is this times its stake, rounded down." }),
    obligation: usd.meta({ description: "What all allotments come to at most." }),
    bounds: z.array(z.string()).meta({ description: "What held a number back or up.", example: ["revenue"] }),
  }),
  explanation: z
    .array(z.object({ of: z.string(), text: z.string() }))
    .meta({ description: "One sentence for each input and each bound that applied." }),
});
export type DailyEpoch = z.infer<typeof dailyEpoch>;

export const dailyEpochs = z.object({
  current: dailyEpoch.nullable().meta({ description: "Today's row; null on a day without one: no allotments." }),
  next: dailyEpoch.meta({ description: "Tomorrow's row." }),
  next_is_estimate: z.boolean().meta({
    description: "True until 23:30 UTC: what the row would be if it were made now.",
  }),
});

/** A row as the network shows it. */
export function shownEpoch(row: DailyRow): DailyEpoch {
  return {
    epoch: row.epoch,
    day: epochDay(row.epoch),
    starts_at: timeText(epochStart(row.epoch)),
    inputs: {
      genesis: epochDay(row.genesis),
      previous:
        row.previousEpoch === null
          ? null
          : {
              epoch: row.previousEpoch,
              average_revenue: formatUsd(row.previousAverage),
              rate: rateText(row.previousRate),
            },
      revenue: row.revenues.map(({ day, nanoUsd }) => ({ day: epochDay(day), usd: formatUsd(nanoUsd) })),
      treasury_micro_usdc: row.treasury,
      treasury_known: row.treasuryKnown,
      issued: formatUsd(row.issued),
      spent: formatUsd(row.spent),
      stake: String(row.stake),
      stake_known: row.stakeKnown,
      accounts: row.accounts,
      parameters: {
        revenue_share: row.revenueShare,
        treasury_share: row.treasuryShare,
        genesis_budget: formatUsd(row.genesisBudget),
        minimum_stake: String(row.minimumStake),
      },
      peg: { millicredits: row.peg.millicredits, nano_usd: row.peg.nanoUsd },
    },
    outputs: {
      average_revenue: formatUsd(row.average),
      base_revenue: formatUsd(row.base),
      budget: formatUsd(row.budget),
      budget_most: formatUsd(row.budgetMost),
      activity: row.activity,
      target_rate: rateText(row.target),
      rate: rateText(row.rate),
      obligation: formatUsd(row.obligation),
      bounds: [...row.bounds],
    },
    explanation: explain(row),
  };
}
