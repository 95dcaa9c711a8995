/** The log of receipts, the sums of its windows, and the journal of every entry. */

import { sql } from "drizzle-orm";
import { check, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { Backing } from "../../core/account/lots.ts";
import type { Lane } from "../../core/lanes.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { Side } from "../../core/receipt/rollup.ts";

/**
 * One slim row per receipt; its body stands in R2, in the segment whose first log index is `segment`, at `offset` bytes.
 * WITHOUT ROWID and without any other index, because every index entry is billed as a row written.
 */
export const receipts = sqliteTable(
  "receipts",
  {
    job: text().notNull(),
    n: integer().notNull(),
    log_index: integer().notNull(),
    window: integer().notNull(),
    segment: integer().notNull(),
    offset: integer().notNull(),
    length: integer().notNull(),
    /** When the job ended. */
    at: integer().notNull(),
    outcome: text().$type<Outcome>().notNull(),
    lane: text().$type<Lane>().notNull(),
    model: text().notNull(),
    consumer: text().notNull(),
    provider: text().notNull(),
    daemon: text().notNull(),
    nano_usd: integer().notNull(),
    millicredits: integer().notNull(),
    prompt: integer().notNull(),
    completion: integer().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.job, table.n] }),
    check("receipts_place", sql`${table.segment} >= 0 AND ${table.log_index} >= ${table.segment}`),
    check("receipts_range", sql`${table.offset} >= 0 AND ${table.length} > 0`),
    check("receipts_nano_usd", sql`abs(${table.nano_usd}) <= 9000000000000000`),
    check("receipts_millicredits", sql`abs(${table.millicredits}) <= 9000000000000000`),
    check("receipts_tokens", sql`${table.prompt} >= 0 AND ${table.completion} >= 0`),
  ],
);

/** The log's segments in R2. A segment begins where the one before it ends, so the log's indexes are dense. */
export const segments = sqliteTable(
  "segments",
  {
    first_index: integer().primaryKey(),
    count: integer().notNull(),
    /** SHA-256 of the segment's bytes in hex, which is also its name in R2. */
    hash: text().notNull(),
    bytes: integer().notNull(),
    /** When it was appended. */
    at: integer().notNull(),
    /** The least job id of its receipts, so that whoever looks for receipts of late knows where in their key to begin. */
    least_job: text().notNull().default(""),
  },
  (table) => [
    check("segments_first_index", sql`${table.first_index} >= 0`),
    check("segments_count", sql`${table.count} > 0 AND ${table.bytes} > 0`),
    check("segments_hash", sql`length(${table.hash}) = 64`),
  ],
);

/** Sums of a window's receipts (core/receipt/rollup.ts), so that a close reads payees and not receipts. WITHOUT ROWID. */
export const rollups = sqliteTable(
  "rollups",
  {
    window: integer().notNull(),
    side: text().$type<Side>().notNull(),
    payee: text().notNull(),
    lane: text().$type<Lane>().notNull(),
    backing: text().$type<Backing>().notNull(),
    nano_usd: integer().notNull(),
    millicredits: integer().notNull(),
    receipts: integer().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.window, table.side, table.payee, table.lane, table.backing] }),
    check("rollups_side", sql`${table.side} IN ('charge', 'share')`),
    check("rollups_backing", sql`${table.backing} IN ('usdc', 'none')`),
    check("rollups_nano_usd", sql`abs(${table.nano_usd}) <= 9000000000000000`),
    check("rollups_millicredits", sql`abs(${table.millicredits}) <= 9000000000000000`),
    check("rollups_receipts", sql`${table.receipts} > 0`),
  ],
);

/** What paid for a window's receipts, by kind of backed lot (core/receipt/funding.ts). WITHOUT ROWID. */
export const fundings = sqliteTable(
  "fundings",
  {
    window: integer().notNull(),
    kind: text().notNull(),
    charged: integer().notNull(),
    fees: integer().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.window, table.kind] }),
    check("fundings_charged", sql`abs(${table.charged}) <= 9000000000000000`),
    check("fundings_fees", sql`abs(${table.fees}) <= 9000000000000000`),
  ],
);

/**
 * Both sides of every entry of an account that moved money and is no receipt (protocol/postings.ts): what its lots have more
 * or less, and the system accounts against them. Backed columns in nanoUSD, the others in millicredits; a row that does not
 * balance does not fit. WITHOUT ROWID and without any other index, as receipts.
 */
export const journal = sqliteTable(
  "journal",
  {
    account: text().notNull(),
    seq: integer().notNull(),
    type: text().notNull(),
    at: integer().notNull(),
    lots_usdc: integer().notNull(),
    lots_none: integer().notNull(),
    treasury: integer().notNull(),
    pool: integer().notNull(),
    issuance: integer().notNull(),
    suspense: integer().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.account, table.seq] }),
    check("journal_usdc", sql`${table.lots_usdc} + ${table.treasury} + ${table.pool} = 0`),
    check("journal_none", sql`${table.lots_none} + ${table.issuance} + ${table.suspense} = 0`),
  ],
);

/** What each column of the journal comes to, written with the rows it is of. WITHOUT ROWID. */
export const journalTotals = sqliteTable("journal_totals", {
  /** A column of amounts of the journal. */
  name: text().primaryKey(),
  amount: integer().notNull(),
  entries: integer().notNull(),
});

/** What could not be appended, by the SHA-256 of the item. WITHOUT ROWID. */
export const deadLetters = sqliteTable("dead_letters", {
  id: text().primaryKey(),
  at: integer().notNull(),
  reason: text().notNull(),
  /** JSON text of what was refused, whole. */
  item: text().notNull(),
  resolved_at: integer(),
});
