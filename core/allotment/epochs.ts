/** Daily epochs (economics.md §7): days of UTC, numbered from 1970-01-01. Epoch d begins at 00:00 of day d. */

import { DAY_MS } from "../time.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** Accounts that wake by themselves to take their allotment up do so within this time after midnight. */
export const RESET_SPREAD_MS = 10 * MINUTE_MS;

/** The epoch that a time in milliseconds since 1970 falls into. */
export function epochOf(time: number): number {
  return Math.floor(time / DAY_MS);
}

/** When an epoch begins, in milliseconds since 1970. */
export function epochStart(epoch: number): number {
  return epoch * DAY_MS;
}

/** The day of an epoch as people write it, such as `2026-11-25`. */
export function epochDay(epoch: number): string {
  return new Date(epochStart(epoch)).toISOString().slice(0, 10);
}

/**
 * When the row of an epoch is made: from 23:30 of the day before, when the snapshot of 23:00 has had half an hour. A row
 * whose snapshot is not there waits for it until `withoutStakes`. After `until` none is made any more: what accounts read
 * at midnight stays true all day (docs/decisions/0030).
 */
export function rowTimes(epoch: number): {
  readonly from: number;
  readonly withoutStakes: number;
  readonly until: number;
} {
  const midnight = epochStart(epoch);
  return {
    from: midnight - HOUR_MS / 2,
    withoutStakes: midnight - 15 * MINUTE_MS,
    until: midnight - MINUTE_MS,
  };
}

/** The days that the row of an epoch adds to the revenue's average: those that have closed since the row before it. */
export function closedDays(epoch: number, previousEpoch: number | null): number[] {
  // When a row is made the day before its epoch still runs, so the last closed one is two days back.
  const last = epoch - 2;
  const first = previousEpoch === null ? last : previousEpoch - 1;
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

/** Milliseconds after midnight at which an account wakes by itself: evenly spread, and always the same for one account. */
export function resetDelay(account: string): number {
  // FNV-1a (draft-eastlake-fnv): any hash that spreads short texts will do.
  let hash = 0x811c9dc5;
  for (let index = 0; index < account.length; index++) {
    hash = Math.imul(hash ^ account.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash % RESET_SPREAD_MS;
}
