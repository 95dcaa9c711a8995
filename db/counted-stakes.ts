/** What stake counts for an epoch: of whole snapshots alone. */

import type { D1Database } from "@cloudflare/workers-types";
import { and, desc, eq, lt } from "drizzle-orm";
import type { AccountId } from "../core/ids.ts";
import { type CountedStake, sumByAccount } from "../core/stake/counted.ts";
import { stakeUnits } from "../core/units.ts";
import { open } from "./client.ts";
import { stakeReadings } from "./schema.ts";
import { stakeReadingOf } from "./stakes.ts";

export interface CountedStakes {
  /** In order of account; none that counts nothing. */
  readonly stakes: CountedStake[];
  /** Where the next page begins; null where there is none. */
  readonly next: AccountId | null;
}

interface Pair {
  readonly account: AccountId;
  readonly linked_at: number;
  readonly amount: string;
  readonly linked_before: number | null;
  readonly amount_before: string | null;
}

const ACCOUNTS = `SELECT DISTINCT account FROM stake_balances WHERE epoch = ?1 AND account > ?2 ORDER BY account LIMIT ?3`;
// An account's wallets stand together in both snapshots, so a page reads no other rows than its own.
const PAIRS = `SELECT s.account, s.linked_at, s.amount, b.linked_at AS linked_before, b.amount AS amount_before
  FROM json_each(?1) AS k CROSS JOIN stake_balances AS s ON s.epoch = ?2 AND s.account = k.value
  LEFT JOIN stake_balances AS b ON b.epoch = ?3 AND b.account = s.account AND b.wallet = s.wallet
  ORDER BY s.account, s.wallet`;

/**
 * What the accounts after `after` count for an epoch, from at most `limit` of them: the smaller of its snapshot and of the
 * whole one before it, wallet by wallet (core/stake/counted.ts). Null where the epoch has no whole snapshot, so that nothing
 * counts. With the first snapshot that was ever taken nothing counts either, but that is known.
 */
export async function countedStakes(
  db: D1Database,
  epoch: number,
  after: string,
  limit: number,
): Promise<CountedStakes | null> {
  if ((await stakeReadingOf(db, epoch))?.state !== "whole") return null;
  const { results } = await db.prepare(ACCOUNTS).bind(epoch, after, limit).all<{ account: AccountId }>();
  const accounts = results.map(({ account }) => account);
  const next = accounts.length < limit ? null : (accounts.at(-1) ?? null);
  const before = await wholeEpochBefore(db, epoch);
  if (before === null) return { stakes: [], next };
  const pairs = await db.prepare(PAIRS).bind(JSON.stringify(accounts), epoch, before).all<Pair>();
  return { stakes: sumByAccount(pairs.results.map(walletOf)), next };
}

async function wholeEpochBefore(db: D1Database, epoch: number): Promise<number | null> {
  const row = await open(db)
    .select({ epoch: stakeReadings.epoch })
    .from(stakeReadings)
    .where(and(eq(stakeReadings.state, "whole"), lt(stakeReadings.epoch, epoch)))
    .orderBy(desc(stakeReadings.epoch))
    .limit(1)
    .get();
  return row?.epoch ?? null;
}

function walletOf({ account, linked_at, amount, linked_before, amount_before }: Pair) {
  const latest = { account, linkedAt: linked_at, amount: stakeUnits(BigInt(amount)) };
  if (linked_before === null || amount_before === null) return { latest, before: null };
  return { latest, before: { account, linkedAt: linked_before, amount: stakeUnits(BigInt(amount_before)) } };
}
