/** What was asked to be paid, what arrived, and what becomes of what went wrong. */

import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { DepositReason } from "../../core/deposits/judge.ts";
import type { AccountId } from "../../core/ids.ts";
import type { PackageId } from "../../core/packages.ts";
import type { MicroUsdc, NanoUsd } from "../../core/units.ts";

/**
 * What somebody asked to pay (economics.md §10), with the terms of that moment. `id` is its account's own; whoever pays
 * names `reference`. WITHOUT ROWID.
 */
export const depositIntents = sqliteTable(
  "deposit_intents",
  {
    account: text().$type<AccountId>().notNull(),
    id: text().notNull(),
    kind: text().$type<"topup" | "package">().notNull(),
    micro_usdc: integer().$type<MicroUsdc>().notNull(),
    package: text().$type<PackageId>(),
    /** The package's included usage, reserved slots and life. */
    included: integer().$type<NanoUsd>(),
    slots: integer(),
    valid_ms: integer(),
    /** A public key whose secret nobody has, in base58. A payment that came with a call names it in its memo. */
    reference: text().notNull(),
    created_at: integer().notNull(),
    expires_at: integer().notNull(),
    /** When its reference was last looked at. */
    checked_at: integer().notNull(),
    /** Whether whoever pays was given a link, or has come with a payment (db/schema/x402.ts). */
    via: text().$type<"link" | "x402">().notNull().default("link"),
  },
  (table) => [
    primaryKey({ columns: [table.account, table.id] }),
    uniqueIndex("deposit_intents_reference").on(table.reference),
    index("deposit_intents_expires").on(table.expires_at),
    check("deposit_intents_kind", sql`${table.kind} IN ('topup', 'package')`),
    check("deposit_intents_package", sql`(${table.kind} = 'package') = (${table.package} IS NOT NULL)`),
    check(
      "deposit_intents_terms",
      sql`(${table.package} IS NULL) = (${table.included} IS NULL OR ${table.slots} IS NULL OR ${table.valid_ms} IS NULL)`,
    ),
    check("deposit_intents_amount", sql`${table.micro_usdc} > 0`),
  ],
);

/**
 * Every transaction that was looked at for deposits, and what the treasury's token account had more or less by it: the sum
 * is what it holds. A row is written with all deposits of its transaction. WITHOUT ROWID.
 */
export const treasuryTransactions = sqliteTable(
  "treasury_transactions",
  {
    signature: text().primaryKey(),
    slot: integer().notNull(),
    at: integer().notNull(),
    received: integer().$type<MicroUsdc>().notNull(),
    sent: integer().$type<MicroUsdc>().notNull(),
  },
  (table) => [check("treasury_transactions_amounts", sql`${table.received} >= 0 AND ${table.sent} >= 0`)],
);

/**
 * What arrived, one row for each lot that it becomes. `seen` is due to be credited; `suspense` waits for two operators,
 * `resolving` is what they have approved and what may not be done yet. WITHOUT ROWID.
 */
export const deposits = sqliteTable(
  "deposits",
  {
    id: text().primaryKey(),
    signature: text().notNull(),
    /** Its place in the transaction; -1 for what the balances alone tell. */
    instruction: integer().notNull(),
    /** Milliseconds since 1970, as the chain says. */
    at: integer().notNull(),
    seen_at: integer().notNull(),
    /** Null while nobody is known to have paid it. */
    account: text().$type<AccountId>(),
    intent: text(),
    kind: text().$type<"topup" | "package">().notNull(),
    mint: text().notNull(),
    /** In the token's own unit, which may pass 2^53. */
    units: text().notNull(),
    /** What the treasury's token account has more by it: 0 for another coin and for a failed transaction. */
    micro_usdc: integer().$type<MicroUsdc>().notNull(),
    payer: text(),
    state: text().$type<"seen" | "credited" | "suspense" | "resolving" | "returned" | "kept" | "failed">().notNull(),
    reason: text().$type<DepositReason>().notNull(),
    /** What the lot begins with, and a package's terms. */
    lot: integer().$type<NanoUsd>().notNull(),
    package: text().$type<PackageId>(),
    slots: integer(),
    lot_expires_at: integer(),
    /** Its entry in the account's chain. */
    seq: integer(),
    /** The proposal by which it left suspense. */
    resolution: text(),
  },
  (table) => [
    index("deposits_account").on(table.account, table.seen_at),
    index("deposits_open").on(table.state, table.seen_at).where(sql`${table.state} <> 'credited'`),
    // A package is paid once: of two payments that are judged at the same time one is taken for a second one.
    uniqueIndex("deposits_package").on(table.account, table.intent).where(sql`${table.kind} = 'package'`),
    check("deposits_kind", sql`${table.kind} IN ('topup', 'package')`),
    check(
      "deposits_state",
      sql`${table.state} IN ('seen', 'credited', 'suspense', 'resolving', 'returned', 'kept', 'failed')`,
    ),
    check("deposits_known", sql`${table.state} NOT IN ('seen', 'credited') OR ${table.account} IS NOT NULL`),
    check("deposits_credited", sql`(${table.state} = 'credited') = (${table.seq} IS NOT NULL)`),
    check(
      "deposits_resolved",
      sql`${table.state} NOT IN ('resolving', 'returned', 'kept') OR ${table.resolution} IS NOT NULL`,
    ),
    check("deposits_amounts", sql`${table.micro_usdc} >= 0 AND ${table.lot} >= 0`),
  ],
);

/**
 * What an operator proposed to do with a deposit in suspense, and what became of that. Who proposed it never approved it.
 * WITHOUT ROWID.
 */
export const depositResolutions = sqliteTable(
  "deposit_resolutions",
  {
    id: text().primaryKey(),
    deposit: text().notNull(),
    action: text().$type<"credit" | "return" | "keep">().notNull(),
    /** Who is credited. */
    account: text().$type<AccountId>(),
    reason: text().notNull(),
    state: text().$type<"proposed" | "approved" | "declined" | "done" | "refused">().notNull(),
    proposed_by: text().notNull(),
    proposed_at: integer().notNull(),
    approved_by: text(),
    approved_at: integer(),
    declined_by: text(),
    declined_at: integer(),
    /** The code of what stood against it. */
    outcome: text(),
  },
  (table) => [
    index("deposit_resolutions_deposit").on(table.deposit),
    check(
      "deposit_resolutions_action",
      sql`(${table.action} = 'credit') = (${table.account} IS NOT NULL) AND ${table.action} IN ('credit', 'return', 'keep')`,
    ),
    check("deposit_resolutions_state", sql`${table.state} IN ('proposed', 'approved', 'declined', 'done', 'refused')`),
    check("deposit_resolutions_two", sql`${table.approved_by} IS NULL OR ${table.approved_by} <> ${table.proposed_by}`),
    check(
      "deposit_resolutions_approved",
      sql`(${table.state} IN ('approved', 'done', 'refused')) = (${table.approved_by} IS NOT NULL)`,
    ),
    check("deposit_resolutions_declined", sql`(${table.state} = 'declined') = (${table.declined_by} IS NOT NULL)`),
  ],
);

/**
 * How far the transactions of an address were looked at: all up to `slot`; and while a walk back from `head` to there is
 * under way, the signature that it goes on below. `version` counts the changes. WITHOUT ROWID.
 */
export const chainCursors = sqliteTable(
  "chain_cursors",
  {
    /** The hash that tells a chain from every other one. */
    genesis: text().notNull(),
    address: text().notNull(),
    slot: integer().notNull(),
    head: integer().notNull(),
    below: text(),
    version: integer().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.genesis, table.address] }),
    check("chain_cursors_slots", sql`${table.slot} >= 0 AND ${table.head} >= ${table.slot}`),
  ],
);
