/** The daily epochs in D1: stakes that count for them, what is measured for their rows, and the rows themselves. */

import type { D1Database } from "@cloudflare/workers-types";
import { desc, eq, lte } from "drizzle-orm";
import type { DailyInputs, DailyRow } from "../core/allotment/daily-row.ts";
import { closedDays } from "../core/allotment/epochs.ts";
import type { AccountId } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { DAY_MS } from "../core/time.ts";
import { type NanoUsd, nanoUsd, type StakeUnits, stakeUnits } from "../core/units.ts";
import { open } from "./client.ts";
import { dailyEpochs } from "./schema.ts";

export interface StakeRow {
  readonly account: AccountId;
  /** What counts of it: of each wallet the smaller of its last two snapshots, all wallets of the account together. */
  readonly stake: StakeUnits;
}

/** `open`: more pages may come. `sealed`: the snapshot is whole. `late`: the epoch's row was made without it. */
export type SnapshotState = "open" | "sealed" | "late";

// Once the snapshot is whole, or the row made without it, it never changes: allotments follow from it.
const INSERT_STAKES = `INSERT INTO stakes (epoch, account, stake)
  SELECT ?2, value->>0, value->>1 FROM json_each(?1)
  WHERE NOT EXISTS (SELECT 1 FROM stake_snapshots WHERE epoch = ?2)
    AND NOT EXISTS (SELECT 1 FROM daily_epochs WHERE epoch = ?2)
  ON CONFLICT DO NOTHING`;
const SEAL = `INSERT INTO stake_snapshots (epoch, accounts)
  SELECT ?1, (SELECT count(*) FROM stakes WHERE epoch = ?1)
  WHERE NOT EXISTS (SELECT 1 FROM daily_epochs WHERE epoch = ?1) ON CONFLICT DO NOTHING`;
const STATE = `SELECT CASE WHEN EXISTS (SELECT 1 FROM stake_snapshots WHERE epoch = ?1) THEN 'sealed'
  WHEN EXISTS (SELECT 1 FROM daily_epochs WHERE epoch = ?1) THEN 'late' ELSE 'open' END AS state`;

/**
 * Stores a snapshot of stakes for an epoch, whole in one call or page by page: the last page says that it is whole.
 * Idempotent: an account that is there already keeps its first stake, and nothing is added once the snapshot is whole or
 * the epoch's row was made without it. Accounts without stake have no row. A call is one D1 batch, so at most 20,000 rows.
 */
export async function putStakes(
  db: D1Database,
  epoch: number,
  rows: readonly StakeRow[],
  isLast = true,
): Promise<SnapshotState> {
  const held = rows.filter(({ stake }) => stake > 0n);
  const statements = [];
  for (let start = 0; start < held.length; start += LIMITS.jsonRows) {
    const values = held.slice(start, start + LIMITS.jsonRows).map(({ account, stake }) => [account, String(stake)]);
    statements.push(db.prepare(INSERT_STAKES).bind(JSON.stringify(values), epoch));
  }
  if (isLast) statements.push(db.prepare(SEAL).bind(epoch));
  const found = await db.batch<{ state: SnapshotState }>([...statements, db.prepare(STATE).bind(epoch)]);
  return found.at(-1)?.results[0]?.state ?? "open";
}

const FORGET = `DELETE FROM stakes WHERE (epoch, account) IN
  (SELECT epoch, account FROM stakes WHERE epoch <= ?1 ORDER BY epoch, account LIMIT ?2)`;

/** Forgets some of the stakes of epochs that ended long ago: their rows say what they came to. */
export async function forgetCountedStakes(db: D1Database, epoch: number): Promise<void> {
  await db
    .prepare(FORGET)
    .bind(epoch - LIMITS.stakeEpochs, LIMITS.stakeForgottenRows)
    .run();
}

/** The row of an epoch, or null. */
export async function epochRow(db: D1Database, epoch: number): Promise<DailyRow | null> {
  return (await open(db).select().from(dailyEpochs).where(eq(dailyEpochs.epoch, epoch)).get()) ?? null;
}

/** The last row of an epoch up to one, or null before the first. */
export async function lastEpochRow(db: D1Database, epoch: number): Promise<DailyRow | null> {
  const last = open(db).select().from(dailyEpochs).where(lte(dailyEpochs.epoch, epoch));
  return (await last.orderBy(desc(dailyEpochs.epoch)).limit(1).get()) ?? null;
}

/** Writes a row, unless its epoch has one. Says whether it was written. */
export async function addEpochRow(db: D1Database, row: DailyRow): Promise<boolean> {
  const written = await open(db).insert(dailyEpochs).values(row).onConflictDoNothing().run();
  return written.meta.changes > 0;
}

// Windows are named by their close, so the day's last one closes as the next day begins.
const REVENUE = `SELECT ("window" - 1) / ${DAY_MS} AS day, sum(fees) AS amount FROM fundings
  WHERE "window" > ?1 AND "window" <= ?2 AND kind IN ('package', 'topup') GROUP BY day`;
const SPENT = `SELECT coalesce(sum(charged), 0) AS amount FROM fundings
  WHERE "window" > ?1 AND "window" <= ?2 AND kind = 'allotment'`;
const ISSUED = "SELECT obligation AS amount FROM daily_epochs WHERE epoch = ?1";
// Stakes pass SQLite's integers, so their digits are added up in two halves. Without leading zeros, longer means more.
const STAKES = `SELECT count(stakes.account) AS accounts,
    CAST(coalesce(sum(CAST(substr(stake, 1, max(0, length(stake) - 9)) AS INTEGER)), 0) AS TEXT) AS high,
    CAST(coalesce(sum(CAST(substr(stake, -9) AS INTEGER)), 0) AS TEXT) AS low
  FROM (SELECT max(epoch) AS epoch FROM stake_snapshots WHERE epoch BETWEEN ?1 AND ?2) AS s
  LEFT JOIN stakes ON stakes.epoch = s.epoch
    AND (length(stake) > length(?3) OR (length(stake) = length(?3) AND stake >= ?3))
  GROUP BY s.epoch HAVING s.epoch IS NOT NULL`;

/**
 * What is measured for an epoch's row, all of one moment, but for the treasury. `snapshotFrom` is the oldest snapshot of
 * stakes that may stand in for the epoch's own: the epoch itself for its row, an earlier one for an estimate.
 */
export async function measure(
  db: D1Database,
  epoch: number,
  previous: DailyRow | null,
  minimumStake: number,
  snapshotFrom = epoch,
): Promise<Omit<DailyInputs, "treasury">> {
  const days = closedDays(epoch, previous?.epoch ?? null);
  const closed = (epoch - 2) * DAY_MS;
  const [revenue, spent, issued, stakes] = (await db.batch<Record<string, unknown>>([
    db.prepare(REVENUE).bind((days[0] ?? epoch) * DAY_MS, ((days.at(-1) ?? epoch) + 1) * DAY_MS),
    db.prepare(SPENT).bind(closed, closed + DAY_MS),
    db.prepare(ISSUED).bind(epoch - 2),
    db.prepare(STAKES).bind(snapshotFrom, epoch, String(minimumStake)),
  ])) as [D1Result<{ day: number; amount: NanoUsd }>, D1Result<Amount>, D1Result<Amount>, D1Result<StakeSum>];
  const byDay = new Map(revenue.results.map(({ day, amount }) => [day, nanoUsd(amount)]));
  const [sum] = stakes.results;
  return {
    epoch,
    revenues: days.map((day) => ({ day, nanoUsd: byDay.get(day) ?? (0 as NanoUsd) })),
    spent: nanoUsd(spent.results[0]?.amount ?? 0),
    issued: nanoUsd(issued.results[0]?.amount ?? 0),
    stakes:
      sum === undefined
        ? null
        : { units: stakeUnits(BigInt(sum.high) * HALF + BigInt(sum.low)), accounts: sum.accounts },
  };
}

const HALF = 1_000_000_000n;

interface Amount {
  readonly amount: number;
}

interface StakeSum {
  readonly accounts: number;
  readonly high: string;
  readonly low: string;
}
