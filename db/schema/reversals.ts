/** Receipts that are taken back: by two operators, or by failed checks. */

import { sql } from "drizzle-orm";
import { check, index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { AccountId, JobId, Pseudonym } from "../../core/ids.ts";
import type { CheckName } from "../../core/receipt/checks.ts";
import type { Millicredits, NanoUsd } from "../../core/units.ts";

/**
 * Reversals that an operator proposed, and what became of them. Who proposed one never approved it. `approved` says that
 * its account may not have carried it out yet; a proposal that nobody decided on in time has expired without a change
 * of its row. WITHOUT ROWID.
 */
export const reversals = sqliteTable(
  "reversals",
  {
    id: text().primaryKey(),
    account: text().$type<AccountId>().notNull(),
    job: text().$type<JobId>().notNull(),
    reason: text().notNull(),
    /** What the receipt charged, and the reversal would give back. */
    nano_usd: integer().$type<NanoUsd>().notNull(),
    millicredits: integer().$type<Millicredits>().notNull(),
    state: text().$type<"proposed" | "approved" | "declined" | "reversed" | "refused">().notNull(),
    proposed_by: text().notNull(),
    proposed_at: integer().notNull(),
    approved_by: text(),
    approved_at: integer(),
    declined_by: text(),
    declined_at: integer(),
    /** The reversal's entry in the account's chain. */
    seq: integer(),
    /** What the account said: `reversed`, or the code of what stood against it. */
    outcome: text(),
  },
  (table) => [
    check("reversals_state", sql`${table.state} IN ('proposed', 'approved', 'declined', 'reversed', 'refused')`),
    check("reversals_two", sql`${table.approved_by} IS NULL OR ${table.approved_by} <> ${table.proposed_by}`),
    check(
      "reversals_approved",
      sql`(${table.state} IN ('approved', 'reversed', 'refused')) = (${table.approved_by} IS NOT NULL)`,
    ),
    check("reversals_declined", sql`(${table.state} = 'declined') = (${table.declined_by} IS NOT NULL)`),
    check("reversals_amounts", sql`${table.nano_usd} >= 0 AND ${table.millicredits} >= 0`),
  ],
);

/**
 * Checks that a daemon failed, each by the job whose receipt says so and written with that receipt. Of receipts that were
 * there before, those from `cursor` to `until` are still to be looked through, in order of their jobs. WITHOUT ROWID.
 */
export const failedChecks = sqliteTable(
  "failed_checks",
  {
    job: text().$type<JobId>().primaryKey(),
    name: text().$type<CheckName>().notNull(),
    daemon: text().notNull(),
    model: text().notNull(),
    provider: text().notNull(),
    /** When the job ended: what ended until then and is not settled is taken back. */
    at: integer().notNull(),
    opened_at: integer().notNull(),
    /** The first window that was not settled then. */
    unsettled_from: integer().notNull(),
    cursor: text().notNull(),
    until: text().notNull(),
  },
  (table) => [
    index("failed_checks_daemon").on(table.daemon, table.model, table.at, table.job),
    index("failed_checks_looking").on(table.cursor).where(sql`${table.cursor} < ${table.until}`),
  ],
);

/** Receipts that failed checks take back, one row a receipt, whichever checks it would be. WITHOUT ROWID. */
export const checkReversals = sqliteTable(
  "check_reversals",
  {
    job: text().$type<JobId>().primaryKey(),
    /** The first check that its daemon failed in this model from its end on. */
    failed: text().$type<JobId>().notNull(),
    consumer: text().$type<Pseudonym>().notNull(),
    nano_usd: integer().$type<NanoUsd>().notNull(),
    millicredits: integer().$type<Millicredits>().notNull(),
    state: text().$type<"due" | "reversed" | "already_reversed" | "refused">().notNull(),
    /** How often it was tried in vain, and when it is tried next. */
    tries: integer().notNull().default(0),
    next_at: integer().notNull(),
    /** The reversal's entry in the account's chain; the code of what stood against it. */
    seq: integer(),
    refusal: text(),
  },
  (table) => [
    index("check_reversals_failed").on(table.failed),
    index("check_reversals_due").on(table.next_at).where(sql`${table.state} = 'due'`),
    check("check_reversals_state", sql`${table.state} IN ('due', 'reversed', 'already_reversed', 'refused')`),
    check("check_reversals_amounts", sql`${table.nano_usd} > 0`),
  ],
);
