/** Starter balances in D1: once for an identity, once for an account, and within a day's budget (economics.md §6). */

import type { D1Database } from "@cloudflare/workers-types";
import { eq, or, sql } from "drizzle-orm";
import type { AccountId } from "../core/ids.ts";
import { open } from "./client.ts";
import { starters } from "./schema.ts";

export type Starter = typeof starters.$inferSelect;

/** What was granted to an identity or to an account, or null. Where they have two, the account's. */
export async function findStarter(db: D1Database, identity: string, account: AccountId): Promise<Starter | null> {
  const rows = await open(db)
    .select()
    .from(starters)
    .where(or(eq(starters.identity, identity), eq(starters.account, account)));
  return rows.find((row) => row.account === account) ?? rows[0] ?? null;
}

/**
 * Grants a starter balance if the day's budget carries it still and neither identity nor account has one; tells whether it
 * did. One statement, so that however many ask at once, the budget is never passed.
 */
export async function addStarter(db: D1Database, starter: Starter, budget: number): Promise<boolean> {
  const { identity, account, day, millicredits, at } = starter;
  const added = await open(db).all(sql`
    INSERT INTO ${starters} (identity, account, day, millicredits, at)
    SELECT ${identity}, ${account}, ${day}, ${millicredits}, ${at}
    WHERE (SELECT coalesce(sum(millicredits), 0) FROM ${starters} WHERE day = ${day}) + ${millicredits} <= ${budget}
    ON CONFLICT DO NOTHING
    RETURNING identity`);
  return added.length > 0;
}
