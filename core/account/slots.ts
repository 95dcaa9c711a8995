/**
 * How many jobs an account may run at once on what it has (economics.md §§3, 8). Nothing is counted beside the holds: a slot
 * is in use while a hold that has it is open, so however a job ends, and however often that is said, its slot is free once.
 */

import { LANE_TABLE, type Lane } from "../lanes.ts";
import { isLive } from "./lots.ts";
import type { AccountState, Hold } from "./state.ts";

export interface Slots {
  readonly slots: number;
  /** Open jobs that have one. More than there are slots where jobs outlast what gave them theirs. */
  readonly inUse: number;
}

/**
 * The slots that an account's packages reserve together; null while none is live. A package is live until its time is over
 * or it is used up, and it is not used up while open jobs hold what is left of it: some of that comes back. Jobs of
 * `dedicated` that were begun beyond the slots use none.
 */
export function packageSlots(state: AccountState, now: number): Slots | null {
  const live = [...state.lots.values()].filter((lot) => lot.kind === "package" && isLive(lot, now));
  if (live.length === 0) return null;
  const slots = live.reduce((sum, { concurrency }) => sum + concurrency, 0);
  return { slots, inUse: count(state, ({ reserved }) => reserved) };
}

/** The jobs that the stake behind today's allotment carries; null for an account without one. */
export function stakeSlots(state: AccountState, now: number): Slots | null {
  const { allotment } = state;
  if (allotment === null || allotment.expiresAt <= now) return null;
  return { slots: allotment.concurrency, inUse: count(state, ({ lane }) => lane === "included") };
}

/** The slots that count in a lane; null where none do, or where the account cannot use it. */
export function slotsIn(state: AccountState, lane: Lane, now: number): Slots | null {
  if (lane === "dedicated") return packageSlots(state, now);
  return lane === "included" ? stakeSlots(state, now) : null;
}

/** What an account weighs among the others of a lane's queue (economics.md §8); positive. */
export function queueWeight(state: AccountState, lane: Lane, now: number): number {
  const { accounts } = LANE_TABLE[lane];
  if (accounts === "allotment") return Math.max(1, state.allotment?.granted ?? 0);
  return accounts === "slots" ? Math.max(1, packageSlots(state, now)?.slots ?? 0) : 1;
}

function count({ holds }: AccountState, has: (hold: Hold) => boolean): number {
  let open = 0;
  for (const hold of holds.values()) if (has(hold)) open += 1;
  return open;
}
