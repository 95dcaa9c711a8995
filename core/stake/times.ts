/** When stake is read (economics.md §7). A daily epoch is named by its day: whole days since 1970, each from 00:00 UTC. */

import { DAY_MS } from "../time.ts";

const HOUR_MS = 3_600_000;

/** When the snapshot that counts for an epoch begins: 23:00 UTC of the day before, in milliseconds since 1970. */
export function snapshotDueAt(epoch: number): number {
  return startOf(epoch) - HOUR_MS;
}

/** When it must be whole: 23:30 UTC, as the epoch's row is published then. */
export function snapshotEndsAt(epoch: number): number {
  return startOf(epoch) - HOUR_MS / 2;
}

function startOf(epoch: number): number {
  const start = epoch * DAY_MS;
  if (Number.isSafeInteger(epoch) && epoch > 0 && Number.isSafeInteger(start)) return start;
  throw new RangeError(`an epoch is a whole number of days since 1970, got ${epoch}`);
}
