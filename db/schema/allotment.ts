/** The daily epochs, and the stakes that count for them. */

import { sql } from "drizzle-orm";
import { check, customType, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Bound, DayRevenue } from "../../core/allotment/daily-row.ts";
import type { AllotmentRate } from "../../core/allotment/rate.ts";
import type { AccountId } from "../../core/ids.ts";
import type { BasisPoints, MicroUsdc, NanoUsd, Peg, StakeUnits } from "../../core/units.ts";

/** A whole number ≥ 0 of any size, as decimal digits. */
const wholeText = customType<{ data: bigint; driverData: string }>({
  dataType: () => "text",
  toDriver: String,
  fromDriver: BigInt,
});

/**
 * The daily epochs' rows, each with all that went into it and came out of it (core/allotment/daily-row.ts, whose names its
 * columns have). Written once and never changed: what accounts have been given follows from it.
 */
export const dailyEpochs = sqliteTable(
  "daily_epochs",
  {
    epoch: integer().primaryKey(),
    genesis: integer().notNull(),
    previousEpoch: integer("previous_epoch"),
    previousAverage: integer("previous_average").$type<NanoUsd>().notNull(),
    previousRate: wholeText("previous_rate").$type<AllotmentRate>().notNull(),
    revenues: text({ mode: "json" }).$type<readonly DayRevenue[]>().notNull(),
    treasury: integer().$type<MicroUsdc>().notNull(),
    treasuryKnown: integer("treasury_known", { mode: "boolean" }).notNull(),
    issued: integer().$type<NanoUsd>().notNull(),
    spent: integer().$type<NanoUsd>().notNull(),
    stake: wholeText().$type<StakeUnits>().notNull(),
    stakeKnown: integer("stake_known", { mode: "boolean" }).notNull(),
    accounts: integer().notNull(),
    revenueShare: integer("revenue_share").$type<BasisPoints>().notNull(),
    treasuryShare: integer("treasury_share").$type<BasisPoints>().notNull(),
    genesisBudget: integer("genesis_budget").$type<NanoUsd>().notNull(),
    minimumStake: integer("minimum_stake").notNull(),
    peg: text({ mode: "json" }).$type<Peg>().notNull(),
    average: integer().$type<NanoUsd>().notNull(),
    base: integer().$type<NanoUsd>().notNull(),
    budget: integer().$type<NanoUsd>().notNull(),
    budgetMost: integer("budget_most").$type<NanoUsd>().notNull(),
    activity: integer().$type<BasisPoints>().notNull(),
    target: wholeText().$type<AllotmentRate>().notNull(),
    rate: wholeText().$type<AllotmentRate>().notNull(),
    obligation: integer().$type<NanoUsd>().notNull(),
    bounds: text({ mode: "json" }).$type<readonly Bound[]>().notNull(),
  },
  (table) => [
    check("daily_epochs_obligation", sql`${table.obligation} BETWEEN 0 AND ${table.budgetMost}`),
    check("daily_epochs_budget", sql`${table.budget} BETWEEN 0 AND ${table.budgetMost}`),
    check("daily_epochs_rate", sql`${table.rate} NOT GLOB '*[^0-9]*' AND length(${table.rate}) > 0`),
    check(
      "daily_epochs_json",
      sql`json_valid(${table.revenues}) AND json_valid(${table.peg}) AND json_valid(${table.bounds})`,
    ),
  ],
);

/** What of each account's stake counts for an epoch. Never changed once the snapshot is whole. WITHOUT ROWID. */
export const stakes = sqliteTable(
  "stakes",
  {
    epoch: integer().notNull(),
    account: text().$type<AccountId>().notNull(),
    stake: wholeText().$type<StakeUnits>().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.epoch, table.account] }),
    // Without leading zeros, so that longer means more.
    check("stakes_stake", sql`${table.stake} GLOB '[1-9]*' AND ${table.stake} NOT GLOB '*[^0-9]*'`),
  ],
);

/** Which epochs have a whole snapshot of stakes, and of how many accounts. */
export const stakeSnapshots = sqliteTable("stake_snapshots", {
  epoch: integer().primaryKey(),
  accounts: integer().notNull(),
});
