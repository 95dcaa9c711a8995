/** Wallets: what they were asked to sign, whose they are, and what they began with. */

import { sql } from "drizzle-orm";
import { check, index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { AccountId, MemberId, WalletAddress } from "../../core/ids.ts";
import type { Millicredits } from "../../core/units.ts";

/**
 * Messages that wallets were asked to sign, by the SHA-256 of the message. Each is used once: `used_at` says when. The index
 * lets what has expired go with what is new. WITHOUT ROWID.
 */
export const challenges = sqliteTable(
  "challenges",
  {
    id: text().primaryKey(),
    address: text().$type<WalletAddress>().notNull(),
    /** Host and port that asked: it is taken at the same ones only. */
    domain: text().notNull(),
    purpose: text().$type<"sign_in" | "link" | "unlink">().notNull(),
    /** What else the purpose is bound to, as JSON that its asker writes the same way again; empty for a sign-in. */
    subject: text().notNull(),
    message: text().notNull(),
    expires_at: integer().notNull(),
    used_at: integer(),
  },
  (table) => [
    index("challenges_expires_at").on(table.expires_at),
    check("challenges_purpose", sql`${table.purpose} IN ('sign_in', 'link', 'unlink')`),
  ],
);

/** Wallets and whose they are: each one member's of one account. A recovery wallet only links others. WITHOUT ROWID. */
export const wallets = sqliteTable(
  "wallets",
  {
    address: text().$type<WalletAddress>().primaryKey(),
    account: text().$type<AccountId>().notNull(),
    member: text().$type<MemberId>().notNull(),
    role: text().$type<"sign_in" | "recovery">().notNull(),
    linked_at: integer().notNull(),
  },
  (table) => [
    index("wallets_account").on(table.account, table.member),
    check("wallets_role", sql`${table.role} IN ('sign_in', 'recovery')`),
  ],
);

/**
 * Starter balances that were granted, by the identity that they were granted for: a wallet's address. One for an account,
 * and in sum a day's budget. WITHOUT ROWID.
 */
export const starters = sqliteTable(
  "starters",
  {
    identity: text().primaryKey(),
    account: text().$type<AccountId>().notNull().unique(),
    /** Days since 1970, in UTC. */
    day: integer().notNull(),
    millicredits: integer().$type<Millicredits>().notNull(),
    at: integer().notNull(),
  },
  (table) => [index("starters_day").on(table.day), check("starters_amount", sql`${table.millicredits} > 0`)],
);
