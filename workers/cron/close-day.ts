/** The row of the next daily epoch (economics.md §7): made once, from 23:30 on, from what D1 has. */

import { type DailyRow, dailyRow } from "../../core/allotment/daily-row.ts";
import { epochOf, rowTimes } from "../../core/allotment/epochs.ts";
import { LIMITS } from "../../core/limits.ts";
import type { MicroUsdc } from "../../core/units.ts";
import { addEpochRow, epochRow, lastEpochRow, measure } from "../../db/epochs.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import { within } from "../../durable-objects/shared/within.ts";
import { configOf } from "../config.ts";
import { type FreeTreasury, freeTreasuryOf } from "./free-treasury.ts";

export type DayClosed =
  /** Not in the half hour before an epoch. What was not made by its end is missing for good. */
  | { readonly type: "not_due" }
  /** The snapshot of stakes is not whole yet; the next poke looks again. */
  | { readonly type: "waiting" }
  | { readonly type: "made"; readonly row: DailyRow }
  /** An earlier poke, or another one at the same time, has made it. */
  | { readonly type: "there" };

/**
 * Makes the row of the next epoch if it is time, once, however often it is called: there is one write, and it fails where
 * the row is. Throws where D1 or the treasury cannot be read; the next poke begins again.
 */
export async function closeDay(
  env: Env,
  now: number,
  treasury: FreeTreasury = freeTreasuryOf(env, now),
): Promise<DayClosed> {
  const epoch = epochOf(now) + 1;
  const { from, withoutStakes, until } = rowTimes(epoch);
  if (now < from || now >= until) return { type: "not_due" };
  if ((await epochRow(env.DB, epoch)) !== null) return { type: "there" };
  const { parameters } = configOf(env);
  const previous = await lastEpochRow(env.DB, epoch - 1);
  const measured = await measure(env.DB, epoch, previous, parameters.minimumStakeUnits);
  if (measured.stakes === null && now < withoutStakes) return { type: "waiting" };
  const row = dailyRow(
    { ...measured, treasury: await readTreasury(treasury, now < withoutStakes) },
    previous,
    parameters,
  );
  return (await addEpochRow(env.DB, row)) ? { type: "made", row } : { type: "there" };
}

/** The row that an epoch would have if the day before it closed now, with the last snapshot of stakes that there is. */
export async function estimateRow(env: Env, epoch: number, treasury: FreeTreasury): Promise<DailyRow> {
  const { parameters } = configOf(env);
  const previous = await lastEpochRow(env.DB, epoch - 1);
  const measured = await measure(env.DB, epoch, previous, parameters.minimumStakeUnits, 0);
  // Whoever asks for an estimate does not wait for a node.
  const free = await within(LIMITS.estimatePatienceMs, readTreasury(treasury, false));
  return dailyRow({ ...measured, treasury: free }, previous, parameters);
}

/** A treasury that cannot be read is waited for as long as there is time, and then counts as unknown. */
async function readTreasury(treasury: FreeTreasury, mayWait: boolean): Promise<MicroUsdc | null> {
  try {
    return await treasury.read();
  } catch (error) {
    if (mayWait) throw error;
    emitError("treasury_unreadable", error);
    return null;
  }
}
