/** How far the readings of stake are, and what they found. */

import { sql } from "drizzle-orm";
import { check, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { AccountId } from "../../core/ids.ts";

/**
 * How far each epoch's reading of stake is. `step` counts every change, so that of two who go on from the same place one is
 * too late. `reading` looks at every wallet, `checking` at the movements of all that had something.
 */
export const stakeReadings = sqliteTable(
  "stake_readings",
  {
    epoch: integer().primaryKey(),
    state: text().$type<"reading" | "checking" | "whole" | "abandoned">().notNull(),
    step: integer().notNull(),
    /** The span of slots in which balances were read: it grows while the state is `reading`. */
    first_slot: integer().notNull(),
    last_slot: integer().notNull(),
    /** The last wallet that the state is done with, and while it is `checking` that wallet's account. Empty at its start. */
    after_account: text().notNull(),
    after_wallet: text().notNull(),
    /** Wallets that were looked at. */
    wallets: integer().notNull(),
    started_at: integer().notNull(),
    ended_at: integer(),
  },
  (table) => [
    check("stake_readings_state", sql`${table.state} IN ('reading', 'checking', 'whole', 'abandoned')`),
    check("stake_readings_slots", sql`${table.first_slot} >= 0 AND ${table.last_slot} >= ${table.first_slot}`),
    check("stake_readings_end", sql`(${table.state} IN ('whole', 'abandoned')) = (${table.ended_at} IS NOT NULL)`),
  ],
);

/**
 * What wallets had in a snapshot; those without stake have no row. Nothing here counts before its reading is `whole`. The
 * account comes before the wallet, so that an account's wallets stand together. WITHOUT ROWID.
 */
export const stakeBalances = sqliteTable(
  "stake_balances",
  {
    epoch: integer().notNull(),
    account: text().$type<AccountId>().notNull(),
    wallet: text().notNull(),
    /** When the wallet was linked to this account. */
    linked_at: integer().notNull(),
    token_account: text().notNull(),
    /** Stake units in decimal digits, as they may pass 2^53. */
    amount: text().notNull(),
    /** The slot at which the balance was read. */
    slot: integer().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.epoch, table.account, table.wallet] }),
    check("stake_balances_amount", sql`${table.amount} <> '' AND ${table.amount} NOT GLOB '*[^0-9]*'`),
  ],
);
