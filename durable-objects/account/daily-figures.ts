/**
 * What an account needs of a daily epoch, read from D1 and kept for the whole isolate: its accounts share the day's row,
 * and an account that sleeps and wakes finds its stake. Neither changes once the epoch has begun (docs/decisions/0030).
 */

import type { AllotmentRate } from "../../core/allotment/rate.ts";
import type { StakeUnits } from "../../core/units.ts";

export interface DailyFigures {
  readonly rate: AllotmentRate;
  readonly minimumStake: number;
  readonly stake: StakeUnits;
}

interface Day {
  readonly epoch: number;
  /** Null where the epoch has no row: then nobody has an allotment, and no stake is asked for. */
  readonly terms: Pick<DailyFigures, "rate" | "minimumStake"> | null;
  readonly stakes: Map<string, StakeUnits>;
}

/** Stakes that are kept; past that an account asks again when it wakes. */
const MOST_STAKES = 10_000;
const ROW = "SELECT rate, minimum_stake FROM daily_epochs WHERE epoch = ?1";
const STAKE = "SELECT stake FROM stakes WHERE epoch = ?1 AND account = ?2";

let known: Day | null = null;

/** What the isolate knows of an epoch for an account: null where it has no row, undefined where D1 has to be asked. */
export function knownFigures(epoch: number, account: string): DailyFigures | null | undefined {
  if (known?.epoch !== epoch) return undefined;
  if (known.terms === null) return null;
  const stake = known.stakes.get(account);
  return stake === undefined ? undefined : { ...known.terms, stake };
}

/** Asks D1 for the figures of an epoch for an account, and keeps them; null where the epoch has no row. */
export async function readFigures(db: D1Database, epoch: number, account: string): Promise<DailyFigures | null> {
  const [rows, stakes] = await db.batch<{ rate: string; minimum_stake: number; stake: string }>([
    db.prepare(ROW).bind(epoch),
    db.prepare(STAKE).bind(epoch, account),
  ]);
  const row = rows?.results[0];
  const terms = row === undefined ? null : { rate: BigInt(row.rate) as AllotmentRate, minimumStake: row.minimum_stake };
  // Whichever epoch was asked for last is kept: an account whose clock is ahead must not keep the others from theirs.
  if (known?.epoch !== epoch) known = { epoch, terms, stakes: new Map() };
  if (terms === null) return null;
  const found = BigInt(stakes?.results[0]?.stake ?? "0") as StakeUnits;
  if (known.stakes.size >= MOST_STAKES) known.stakes.clear();
  known.stakes.set(account, found);
  return { ...terms, stake: found };
}
