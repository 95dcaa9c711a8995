/**
 * Stake snapshots in D1. A reading goes on in steps: each writes what it found and moves the reading's row on in one batch,
 * and only from the `step` at which it began, so that a step which comes twice or too late writes nothing.
 */

import type { D1Database } from "@cloudflare/workers-types";
import { eq } from "drizzle-orm";
import { LIMITS } from "../core/limits.ts";
import { type StakeUnits, stakeUnits } from "../core/units.ts";
import { open } from "./client.ts";
import { stakeBalances, stakeReadings } from "./schema.ts";

export type StakeReading = typeof stakeReadings.$inferSelect;
export type StakeRow = Omit<typeof stakeBalances.$inferSelect, "amount"> & { readonly amount: StakeUnits };

const COLUMNS = ["account", "wallet", "linked_at", "token_account", "amount", "slot"] as const;
type NewRow = Pick<StakeRow, (typeof COLUMNS)[number]>;

const IS_AT_STEP = "EXISTS (SELECT 1 FROM stake_readings WHERE epoch = ?2 AND step = ?3)";
const INSERT_ROWS = `INSERT INTO stake_balances (epoch, ${COLUMNS.join(", ")})
  SELECT ?2, ${COLUMNS.map((_, index) => `value->>${index}`).join(", ")} FROM json_each(?1) WHERE ${IS_AT_STEP}`;
// An upsert, as an UPDATE would look at every row of the epoch for each of these; CROSS JOIN keeps that order here.
const LOWER_AMOUNTS = `INSERT INTO stake_balances
  SELECT s.epoch, s.account, s.wallet, s.linked_at, s.token_account, k.value->>2, s.slot
  FROM json_each(?1) AS k CROSS JOIN stake_balances AS s
  ON s.epoch = ?2 AND s.account = k.value->>0 AND s.wallet = k.value->>1 WHERE ${IS_AT_STEP}
  ON CONFLICT DO UPDATE SET amount = excluded.amount`;
const ADVANCE_READING = `UPDATE stake_readings
  SET step = step + 1, after_wallet = ?3, last_slot = max(last_slot, ?4), wallets = wallets + ?5
  WHERE epoch = ?1 AND step = ?2 RETURNING *`;
const ADVANCE_CHECKING = `UPDATE stake_readings SET step = step + 1, after_account = ?3, after_wallet = ?4
  WHERE epoch = ?1 AND step = ?2 RETURNING *`;
const ENTER = `UPDATE stake_readings SET step = step + 1, state = ?3, after_account = '', after_wallet = '', ended_at = ?4
  WHERE epoch = ?1 AND step = ?2 RETURNING *`;
const ROWS_AFTER = `SELECT * FROM stake_balances WHERE epoch = ?1 AND (account, wallet) > (?2, ?3)
  ORDER BY account, wallet LIMIT ?4`;
const FORGET = `DELETE FROM stake_balances WHERE (epoch, account, wallet) IN (
  SELECT s.epoch, s.account, s.wallet FROM stake_readings AS r CROSS JOIN stake_balances AS s ON s.epoch = r.epoch
  WHERE r.state = 'abandoned' OR r.epoch < (
    SELECT epoch FROM stake_readings WHERE state = 'whole' ORDER BY epoch DESC LIMIT 1 OFFSET ?1) LIMIT ?2)`;

/** How far the reading of an epoch is; null where it has not begun. */
export async function stakeReadingOf(db: D1Database, epoch: number): Promise<StakeReading | null> {
  return (await open(db).select().from(stakeReadings).where(eq(stakeReadings.epoch, epoch)).get()) ?? null;
}

/** Begins a reading at a slot, unless it has begun. */
export async function beginStakeReading(db: D1Database, epoch: number, slot: number, now: number): Promise<void> {
  const row = {
    epoch,
    state: "reading" as const,
    step: 0,
    first_slot: slot,
    last_slot: slot,
    after_account: "",
    after_wallet: "",
    wallets: 0,
    started_at: now,
  };
  await open(db).insert(stakeReadings).values(row).onConflictDoNothing();
}

/**
 * Stores what some wallets had, and that all up to `after` were looked at. Null where another call was faster. This step and
 * the following ones answer with the reading as it is then.
 */
export async function addStakes(
  db: D1Database,
  { epoch, step }: StakeReading,
  page: {
    readonly rows: readonly NewRow[];
    readonly after: string;
    readonly lastSlot: number;
    readonly wallets: number;
  },
): Promise<StakeReading | null> {
  const { rows, after, lastSlot, wallets } = page;
  const values = rows.map((row) => COLUMNS.map((name) => (name === "amount" ? String(row.amount) : row[name])));
  return await stepOf(db, [
    db.prepare(INSERT_ROWS).bind(JSON.stringify(values), epoch, step),
    db.prepare(ADVANCE_READING).bind(epoch, step, after, lastSlot, wallets),
  ]);
}

/** Stores the smaller amounts of wallets that moved, and that all up to `after` were checked. Null as {@link addStakes}. */
export async function lowerStakes(
  db: D1Database,
  { epoch, step }: StakeReading,
  lower: readonly Pick<StakeRow, "account" | "wallet" | "amount">[],
  after: Pick<StakeRow, "account" | "wallet">,
): Promise<StakeReading | null> {
  const values = lower.map(({ account, wallet, amount }) => [account, wallet, String(amount)]);
  return await stepOf(db, [
    db.prepare(LOWER_AMOUNTS).bind(JSON.stringify(values), epoch, step),
    db.prepare(ADVANCE_CHECKING).bind(epoch, step, after.account, after.wallet),
  ]);
}

/** Brings a reading into its next state, from its beginning. `now` is for the states that end it. Null as {@link addStakes}. */
export async function enterStakeState(
  db: D1Database,
  { epoch, step }: StakeReading,
  state: Exclude<StakeReading["state"], "reading">,
  now: number,
): Promise<StakeReading | null> {
  return await stepOf(db, [db.prepare(ENTER).bind(epoch, step, state, state === "checking" ? null : now)]);
}

/** Runs a step whose last statement moves the reading on. */
async function stepOf(db: D1Database, statements: ReturnType<D1Database["prepare"]>[]): Promise<StakeReading | null> {
  const results = await db.batch<StakeReading>(statements);
  return results.at(-1)?.results[0] ?? null;
}

/** The next rows that a reading has to check, by account and wallet. */
export async function stakesToCheck(db: D1Database, reading: StakeReading, limit: number): Promise<StakeRow[]> {
  const { epoch, after_account, after_wallet } = reading;
  const { results } = await db
    .prepare(ROWS_AFTER)
    .bind(epoch, after_account, after_wallet, limit)
    .all<StakeRow & { amount: string }>();
  return results.map((row) => ({ ...row, amount: stakeUnits(BigInt(row.amount)) }));
}

/** Forgets some rows of readings that were abandoned or are too old to count. Returns how many. */
export async function forgetStakes(db: D1Database): Promise<number> {
  const { meta } = await db
    .prepare(FORGET)
    .bind(LIMITS.stakeSnapshots - 1, LIMITS.stakeForgottenRows)
    .run();
  return meta.changes;
}
