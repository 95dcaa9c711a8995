/**
 * Accounts by their pseudonyms in D1. An account is written when it is opened. One that was opened before there was this
 * table is found by its journal, as whoever was ever charged was credited before.
 */

import type { D1Database } from "@cloudflare/workers-types";
import type { AccountId } from "../core/ids.ts";
import { open } from "./client.ts";
import { accounts } from "./schema.ts";

export type AccountRow = typeof accounts.$inferSelect;

/** Adds an account; one that is there stays as it is. */
export async function addAccount(db: D1Database, account: AccountRow): Promise<void> {
  await open(db).insert(accounts).values(account).onConflictDoNothing().run();
}

const ADD = `INSERT INTO accounts (id, pseudonym, opened_at)
  SELECT value->>0, value->>1, value->>2 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING`;

/** Adds many accounts. */
export async function addAccounts(db: D1Database, rows: readonly AccountRow[]): Promise<void> {
  const values = rows.map(({ id, pseudonym, opened_at }) => [id, pseudonym, opened_at]);
  await db.prepare(ADD).bind(JSON.stringify(values)).run();
}

// From each account straight to the next one, as a list of distinct accounts would read all of the journal's rows.
const UNLISTED = `WITH RECURSIVE known (id) AS (
    SELECT min(account) FROM journal
    UNION ALL SELECT (SELECT min(j.account) FROM journal AS j WHERE j.account > known.id) FROM known WHERE id IS NOT NULL
  )
  SELECT id, (SELECT min(j.at) FROM journal AS j WHERE j.account = known.id AND j.seq <= 2) AS at FROM known
  WHERE id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.id = known.id) LIMIT ?1`;

/** Accounts of the journal that are not listed, with about when they began. Steps through all of the journal's accounts. */
export async function unlistedAccounts(
  db: D1Database,
  limit: number,
): Promise<{ readonly id: AccountId; readonly at: number | null }[]> {
  return (await db.prepare(UNLISTED).bind(limit).all<{ id: AccountId; at: number | null }>()).results;
}
