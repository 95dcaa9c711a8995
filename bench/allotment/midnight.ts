/** A million accounts at midnight: when they wake by themselves, and what the day's change is billed. */

import { RESET_SPREAD_MS, resetDelay } from "../../core/allotment/epochs.ts";
import { base62 } from "../../core/ids.ts";
import type { Random } from "../../core/random.ts";
import { PRICES } from "../measure/prices.ts";
import { between } from "../soak/random.ts";

const SECOND_MS = 1_000;
/** An account's id is 16 random bytes. */
const ID_BYTES = 16;

/** Alarms in each second after midnight, of accounts whose ids are drawn by chance. */
export function alarmsPerSecond(accounts: number, random: Random): number[] {
  const seconds = Array.from({ length: RESET_SPREAD_MS / SECOND_MS }, () => 0);
  for (let account = 0; account < accounts; account++) {
    const id = base62(Uint8Array.from({ length: ID_BYTES }, () => Math.floor(between(random, 0, 256))));
    const second = Math.floor(resetDelay(id) / SECOND_MS);
    seconds[second] = (seconds[second] ?? 0) + 1;
  }
  return seconds;
}

/**
 * What is billed for one account that has an allotment and does not use it, on each day. A test measures all but the stake's
 * row (test/workers/account/midnight.test.ts).
 */
export const BILLED_A_DAY = {
  /** The expiry, the new lot, the lot's id, and two notes of what the log has. */
  objectRows: 5,
  alarmsSet: 3,
  /** After midnight, to send the journal its rows, and to see that it has them. */
  alarmsRung: 3,
  messages: 1,
  journalRows: 2,
} as const;

/** USD a day for so many accounts that hold and do not use, by the list's prices. */
export function costOfDay(accounts: number): number {
  const { objectRows, alarmsSet, alarmsRung, messages, journalRows } = BILLED_A_DAY;
  const stakeRows = 1;
  const each =
    (objectRows + alarmsSet) * PRICES.objectRowWritten +
    alarmsRung * PRICES.objectRequest +
    (journalRows + stakeRows) * PRICES.d1RowWritten +
    messages * PRICES.queueOperationsPerMessage * PRICES.queueOperation;
  return accounts * each;
}
