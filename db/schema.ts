/**
 * The tables of D1. `npm run migrations` turns changes into numbered SQL. SQLite's STRICT and WITHOUT ROWID are added to
 * that SQL by hand, because drizzle-kit cannot say them; a test holds that every table is STRICT.
 *
 * Times are milliseconds since 1970. Amounts are safe integers. What a large table could outgrow (outcomes, lanes) is
 * checked by the code alone: changing a CHECK means copying the table.
 */

import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { Backing } from "../core/account/lots.ts";
import type { AccountId, JobId, Pseudonym } from "../core/ids.ts";
import type { Lane } from "../core/lanes.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Quantization } from "../core/pricing.ts";
import type { CheckName } from "../core/receipt/checks.ts";
import type { Side } from "../core/receipt/rollup.ts";
import type { Millicredits, NanoUsd } from "../core/units.ts";
import type { CatalogModel } from "../protocol/catalog.ts";
import type { Tier } from "../protocol/daemon/messages.ts";

/** The catalog; a row is a `catalogModel` (protocol/catalog.ts). WITHOUT ROWID. */
export const models = sqliteTable(
  "models",
  {
    id: text().primaryKey(),
    name: text().notNull(),
    parameters_in_millions: integer().notNull(),
    quantization: text().$type<Quantization>().notNull(),
    context_length: integer().notNull(),
    completion_default: integer().notNull(),
    completion_max: integer().notNull(),
    rates: text({ mode: "json" }).$type<CatalogModel["rates"]>(),
    prompt_bytes_per_token_hundredths: integer().notNull(),
    prompt_tokens_per_message: integer().notNull(),
    prompt_tokens_per_image: integer().notNull(),
    min_bytes_per_token_hundredths: integer().notNull(),
    lanes: text({ mode: "json" }).$type<Lane[]>().notNull(),
    created: integer().notNull(),
  },
  (table) => [
    check("models_rates_json", sql`${table.rates} IS NULL OR json_valid(${table.rates})`),
    check("models_lanes_json", sql`json_valid(${table.lanes})`),
    check("models_parameters", sql`${table.parameters_in_millions} > 0`),
  ],
);

/** Enrolled daemons. The id is the public key in base58. WITHOUT ROWID. */
export const daemons = sqliteTable(
  "daemons",
  {
    id: text().primaryKey(),
    account: text().notNull(),
    name: text().notNull(),
    payout: text().$type<"usdc" | "credits">().notNull(),
    tier: text().$type<Tier>().notNull(),
    created_at: integer().notNull(),
  },
  (table) => [
    index("daemons_account").on(table.account),
    check("daemons_payout", sql`${table.payout} IN ('usdc', 'credits')`),
  ],
);

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

/** Accounts by the names that receipts call consumers by: what is only known to the network. WITHOUT ROWID. */
export const accounts = sqliteTable(
  "accounts",
  {
    id: text().$type<AccountId>().primaryKey(),
    pseudonym: text().$type<Pseudonym>().notNull(),
    opened_at: integer().notNull(),
  },
  (table) => [uniqueIndex("accounts_pseudonym").on(table.pseudonym)],
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

/** What could not be appended, by the SHA-256 of the item. WITHOUT ROWID. */
export const deadLetters = sqliteTable("dead_letters", {
  id: text().primaryKey(),
  at: integer().notNull(),
  reason: text().notNull(),
  /** JSON text of what was refused, whole. */
  item: text().notNull(),
  resolved_at: integer(),
});

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
export const stakeSnapshots = sqliteTable(
  "stake_snapshots",
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
    check("stake_snapshots_amount", sql`${table.amount} <> '' AND ${table.amount} NOT GLOB '*[^0-9]*'`),
  ],
);
