/** Payments that came with a call (docs/x402.md). */

import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { AccountId } from "../../core/ids.ts";
import type { MicroUsdc } from "../../core/units.ts";

/**
 * Payments that the network has signed as their fee payer, each with its intent: stored before it is sent, so whoever sends it
 * again sends the same bytes. `pending` may land; `final` was credited; `failed` and `expired` brought nothing. WITHOUT
 * ROWID.
 */
export const x402Payments = sqliteTable(
  "x402_payments",
  {
    account: text().$type<AccountId>().notNull(),
    intent: text().notNull(),
    signature: text().notNull(),
    /** The signed transaction, base64. */
    bytes: text().notNull(),
    payer: text().notNull(),
    micro_usdc: integer().$type<MicroUsdc>().notNull(),
    /** It cannot land in a higher block. */
    last_block: integer().notNull(),
    state: text().$type<"pending" | "final" | "failed" | "expired">().notNull(),
    created_at: integer().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.account, table.intent] }),
    uniqueIndex("x402_payments_signature").on(table.signature),
    // A wallet pays one after the other: what it has would look enough for each of many at once, and be so for one.
    uniqueIndex("x402_payments_payer").on(table.payer).where(sql`${table.state} = 'pending'`),
    index("x402_payments_due").on(table.created_at).where(sql`${table.state} = 'pending'`),
    index("x402_payments_account").on(table.account, table.created_at),
    check("x402_payments_state", sql`${table.state} IN ('pending', 'final', 'failed', 'expired')`),
    check("x402_payments_amount", sql`${table.micro_usdc} > 0 AND ${table.last_block} >= 0`),
  ],
);
