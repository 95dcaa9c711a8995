/**
 * The daily stake snapshot (economics.md §7), in steps that may be cut anywhere: what a step found counts when D1 has it, and
 * the next one begins there.
 *
 *     (none)   → reading    23:00 UTC: the span of slots begins
 *     reading  → checking   every linked wallet was read: the span ends
 *     checking → whole      every wallet that had something counts its smallest balance in that span
 *     reading, checking → abandoned   23:30 UTC: nothing of it ever counts
 */

import { LIMITS } from "../../core/limits.ts";
import { snapshotDueAt, snapshotEndsAt } from "../../core/stake/times.ts";
import {
  beginStakeReading,
  enterStakeState,
  forgetStakes,
  type StakeReading,
  stakeReadingOf,
} from "../../db/stakes.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import { finalizedSlot } from "../solana/balances.ts";
import { checkPage } from "./check-page.ts";
import { readPage, type SnapshotParts } from "./read-page.ts";

/** What a poke has left behind. */
export interface SnapshotSummary {
  /** `early`: it is not 23:00 yet. `missed`: nobody began it in time. */
  readonly state: StakeReading["state"] | "early" | "missed";
  /** Steps that this poke took. */
  readonly steps: number;
  /** Why it stopped where it did, if something failed: the next poke goes on. */
  readonly error: string | null;
}

/**
 * Takes an epoch's snapshot as far as a bounded stretch of work gets; poke it every minute from 23:00 to 23:30 UTC, and later
 * for old rows to be forgotten. Safe to call twice, at the same time, late or half. `clock` gives milliseconds since 1970.
 */
export async function takeSnapshot(parts: SnapshotParts, epoch: number, clock: () => number): Promise<SnapshotSummary> {
  const until = clock() + LIMITS.stakeStretchMs;
  let steps = 0;
  let state: SnapshotSummary["state"] = "early";
  try {
    while (clock() < until) {
      const reading = await stakeReadingOf(parts.db, epoch);
      const now = clock();
      state = stateAt(reading, epoch, now);
      if (state === "early" || state === "missed") break;
      if (!hasEnded(reading)) await step(parts, epoch, reading, now);
      else if ((await forgetStakes(parts.db)) < LIMITS.stakeForgottenRows) break;
      steps += 1;
    }
    return { state, steps, error: null };
  } catch (error) {
    emitError("stake_snapshot_stopped", error, { epoch, steps });
    return { state, steps, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Where an epoch's snapshot is: what its row says, and what the time has made of it. */
function stateAt(reading: StakeReading | null, epoch: number, now: number): SnapshotSummary["state"] {
  if (reading !== null && hasEnded(reading)) return reading.state;
  if (now >= snapshotEndsAt(epoch)) return reading === null ? "missed" : "abandoned";
  if (reading !== null) return reading.state;
  return now < snapshotDueAt(epoch) ? "early" : "reading";
}

function hasEnded(reading: StakeReading | null): boolean {
  return reading !== null && reading.ended_at !== null;
}

async function step(parts: SnapshotParts, epoch: number, reading: StakeReading | null, now: number): Promise<void> {
  if (reading === null) {
    await beginStakeReading(parts.db, epoch, await finalizedSlot(parts.rpc), now);
  } else if (now >= snapshotEndsAt(epoch)) {
    await enterStakeState(parts.db, reading, "abandoned", now);
  } else if (reading.state === "reading") {
    await readPage(parts, reading, now);
  } else {
    await checkPage(parts, reading, now);
  }
}
